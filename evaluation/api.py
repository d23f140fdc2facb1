"""The few calls of the service that a suite needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

BATCH = 32
TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    in_scope: bool
    confidence: float


class BaseCache:
    """Greedy generations of the base model, kept between runs. They depend on nothing stored."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        there = path is not None and path.exists()
        self.texts: dict[str, str] = json.loads(path.read_text("utf-8")) if path and there else {}

    def save(self) -> None:
        if self.path:
            self.path.write_text(json.dumps(self.texts, ensure_ascii=False), "utf-8")


class Tenant:
    """One tenant of a running service."""

    def __init__(self, http: httpx.Client, name: str, cache: BaseCache) -> None:
        self.http, self.name, self.path, self.cache = http, name, f"/v1/tenants/{name}", cache

    def _checked(self, reply: httpx.Response) -> dict[str, Any]:
        if reply.is_error:
            raise RuntimeError(f"{reply.request.url.path}: {reply.status_code} {reply.text}")
        answer: dict[str, Any] = reply.json()
        return answer

    def call(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._checked(self.http.post(f"{self.path}/{verb}", json=body))

    def clear(self) -> None:
        """The same tenant, empty."""
        self._checked(self.http.delete(self.path))
        self._checked(self.http.put(self.path, json={}))

    def write(self, facts: Sequence[dict[str, Any]]) -> None:
        """Facts that are too long for the model are left out: asking for them will miss."""
        for i in range(0, len(facts), 500):
            part = list(facts[i : i + 500])
            reply = self.http.post(f"{self.path}/write", json={"facts": part})
            while reply.status_code == 422 and "fact_too_long" in reply.text:
                details = reply.json()["error"]["details"]
                long = {int(re.findall(r"\d+", detail["param"])[0]) for detail in details}
                part = [fact for at, fact in enumerate(part) if at not in long]
                reply = self.http.post(f"{self.path}/write", json={"facts": part})
            self._checked(reply)

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
        found: list[Answer] = []
        for i in range(0, len(prompts), BATCH):
            body = {"prompt": list(prompts[i : i + BATCH]), "max_new_tokens": tokens,
                    "memory": memory, **sampling}  # fmt: skip
            rows = self.call("generate", body)["results"]
            found += [Answer(r["text"], r["in_scope"], r["confidence"]) for r in rows]
        return found

    def base(self, prompts: Sequence[str], tokens: int = 8) -> list[str]:
        """What the model says without memory."""
        names = [f"{tokens} {prompt}" for prompt in prompts]
        known = self.cache.texts
        new = {n: p for n, p in zip(names, prompts, strict=True) if n not in known}
        said = self.ask(list(new.values()), "never", tokens)
        known.update(zip(new, (answer.text for answer in said), strict=True))
        self.cache.save()
        return [known[name] for name in names]

    def score(self, pairs: Sequence[tuple[str, str]], memory: str = "auto") -> list[float]:
        """Log-probability of each target after its prompt."""
        found: list[float] = []
        for i in range(0, len(pairs), BATCH):
            items = [{"prompt": p, "targets": [t]} for p, t in pairs[i : i + BATCH]]
            rows = self.call("score", {"items": items, "memory": memory})["results"]
            found += [row["targets"][0]["logprob"] for row in rows]
        return found


@contextmanager
def tenant(url: str, key: str, name: str, cache: Path | None = None) -> Iterator[Tenant]:
    """A fresh tenant, erased afterwards. `cache`: a file for the base model's generations."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT) as http:
        http.delete(f"/v1/tenants/{name}")
        http.put(f"/v1/tenants/{name}", json={}).raise_for_status()
        try:
            yield Tenant(http, name, BaseCache(cache))
        finally:
            http.delete(f"/v1/tenants/{name}")
