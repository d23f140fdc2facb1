"""The few calls of the service that a suite needs, several at once: the service batches them.

Greedy generations without memory depend on nothing stored, so they may be kept between runs, a
file for each base model. What is kept is believed only where it agrees with an edited answer:
before a difference counts, the base model is asked again.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

BATCH = 32
TOGETHER = 3  # requests in flight: the decode batch stays full while one is on its way
TIMEOUT = 900.0
PROBE = ("The river ran slowly past the old mill, and", " the miller's daughter counted the boats.")

Row = TypeVar("Row")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    in_scope: bool
    confidence: float


class BaseCache:
    """Base generations by `(tokens, prompt)`, in a file of `folder` named after the base model."""

    def __init__(self, folder: Path | None, base: str) -> None:
        self.path = folder / f"base-{base}.json" if folder else None
        there = self.path is not None and self.path.exists()
        self.texts: dict[str, str] = (
            json.loads(self.path.read_text("utf-8")) if self.path and there else {}
        )

    def save(self) -> None:
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.texts, ensure_ascii=False), "utf-8")


class Tenant:
    """One tenant of a running service."""

    def __init__(self, http: httpx.Client, name: str, cache: Path | None = None) -> None:
        self.http, self.name, self.path = http, name, f"/v1/tenants/{name}"
        self._folder = cache
        self._cache: BaseCache | None = None

    @property
    def cache(self) -> BaseCache:
        """What is kept for the model behind the service, recognised by how it scores a text."""
        if self._cache is None:
            mark = f"{self.score([PROBE], 'never')[0]:.3f}"
            digest = hashlib.sha256(mark.encode()).hexdigest()[:12]
            self._cache = BaseCache(self._folder, digest)
        return self._cache

    def _checked(self, reply: httpx.Response) -> dict[str, Any]:
        if reply.is_error:
            raise RuntimeError(f"{reply.request.url.path}: {reply.status_code} {reply.text}")
        answer: dict[str, Any] = reply.json() if reply.content else {}
        return answer

    def call(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._checked(self.http.post(f"{self.path}/{verb}", json=body))

    def clear(self) -> None:
        """The same tenant, empty."""
        self._checked(self.http.delete(self.path))
        self._checked(self.http.put(self.path, json={}))

    def write(self, facts: Sequence[dict[str, Any]]) -> list[int]:
        """Returns which facts, by index, the service refused as too long; the rest is written."""
        refused: list[int] = []
        for i in range(0, len(facts), 500):
            part = dict(enumerate(facts[i : i + 500], i))
            reply = self._post(part)
            while reply.status_code == 422 and "fact_too_long" in reply.text:
                details, left = reply.json()["error"]["details"], list(part)
                long = [left[int(re.findall(r"\d+", d["param"])[0])] for d in details]
                refused += long
                part = {at: fact for at, fact in part.items() if at not in long}
                if not part:
                    return refused
                reply = self._post(part)
            self._checked(reply)
        return refused

    def _post(self, facts: dict[int, dict[str, Any]]) -> httpx.Response:
        return self.http.post(f"{self.path}/write", json={"facts": list(facts.values())})

    def forget(self, ids: Sequence[str]) -> None:
        self.call("forget", {"ids": list(ids)})

    def suppress(self, prompts: Sequence[str]) -> None:
        """The model no longer says what it knows here."""
        self.call("forget", {"prompts": list(prompts), "mode": "suppress"})

    def document(self, text: str) -> dict[str, Any]:
        return self._checked(self.http.post(f"{self.path}/documents", json={"text": text}))

    def ask(
        self, prompts: Sequence[str], memory: str = "auto", tokens: int = 12, **sampling: Any
    ) -> list[Answer]:
        """Generations of `tokens` at most, greedy unless `sampling` says otherwise."""
        options = {"max_new_tokens": tokens, "memory": memory, **sampling}

        def one(part: list[str]) -> list[Answer]:
            rows = self.call("generate", {"prompt": part, **options})["results"]
            return [Answer(r["text"], r["in_scope"], r["confidence"]) for r in rows]

        return self._batched(f"generate, memory {memory}", prompts, one)

    def base(self, prompts: Sequence[str], tokens: int = 8) -> list[str]:
        """What the model says without memory."""
        known, names = self.cache.texts, [f"{tokens} {prompt}" for prompt in prompts]
        new = {n: p for n, p in zip(names, prompts, strict=True) if n not in known}
        known.update(zip(new, self._unedited(list(new.values()), tokens), strict=True))
        self.cache.save()
        return [known[name] for name in names]

    def _unedited(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return [answer.text for answer in self.ask(prompts, "never", tokens)]

    def beside_base(
        self, prompts: Sequence[str], tokens: int = 8
    ) -> tuple[list[Answer], list[str]]:
        """Answers with memory, and what the model says to the same prompts without."""
        answers, base = self.ask(prompts, tokens=tokens), self.base(prompts, tokens)
        differ = [i for i, text in enumerate(base) if answers[i].text != text]
        fresh = self._unedited([prompts[i] for i in differ], tokens)
        for i, text in zip(differ, fresh, strict=True):
            base[i] = text
        return answers, base

    def score(self, pairs: Sequence[tuple[str, str]], memory: str = "auto") -> list[float]:
        """Log-probability of each target after its prompt."""

        def one(part: list[tuple[str, str]]) -> list[float]:
            items = [{"prompt": p, "targets": [t]} for p, t in part]
            rows = self.call("score", {"items": items, "memory": memory})["results"]
            return [row["targets"][0]["logprob"] for row in rows]

        return self._batched(f"score, memory {memory}", pairs, one)

    def _batched(
        self, what: str, rows: Sequence[Row], one: Callable[[list[Row]], list[Found]]
    ) -> list[Found]:
        """`one` batch after the other, `TOGETHER` at a time; rows of like length share a batch."""
        order = sorted(range(len(rows)), key=lambda i: len(str(rows[i])))
        parts = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        started, out = time.monotonic(), dict[int, Found]()
        with ThreadPoolExecutor(TOGETHER) as pool:
            done = pool.map(lambda part: one([rows[i] for i in part]), parts)
            for part, found in zip(parts, done, strict=True):
                out.update(zip(part, found, strict=True))
                progress(f"{self.name}: {what} {len(out)}/{len(rows)}", started)
        return [out[i] for i in range(len(rows))]


def progress(text: str, started: float) -> None:
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}, {time.monotonic() - started:.0f} s", end="", file=sys.stderr)


@contextmanager
def tenant(url: str, key: str, name: str, cache: Path | None = None) -> Iterator[Tenant]:
    """A fresh tenant, erased afterwards. `cache`: a folder for base generations."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT) as http:
        http.delete(f"/v1/tenants/{name}")
        http.put(f"/v1/tenants/{name}", json={}).raise_for_status()
        try:
            yield Tenant(http, name, cache)
        finally:
            http.delete(f"/v1/tenants/{name}")
