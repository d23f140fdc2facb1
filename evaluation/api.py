"""The few calls of the service that a suite needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

BATCH = 32
TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    in_scope: bool
    confidence: float


class Tenant:
    """One tenant of a running service."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http, self.path = http, f"/v1/tenants/{name}"

    def call(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self.http.post(f"{self.path}/{verb}", json=body)
        if reply.is_error:
            raise RuntimeError(f"{verb}: {reply.status_code} {reply.text}")
        answer: dict[str, Any] = reply.json()
        return answer

    def write(self, facts: Sequence[dict[str, Any]]) -> None:
        for i in range(0, len(facts), 500):
            self.call("write", {"facts": list(facts[i : i + 500])})

    def forget(self, ids: Sequence[str]) -> None:
        self.call("forget", {"ids": list(ids)})

    def ask(self, prompts: Sequence[str], memory: str = "auto", tokens: int = 12) -> list[Answer]:
        """Greedy generations of `tokens` at most."""
        found: list[Answer] = []
        for i in range(0, len(prompts), BATCH):
            body = {"prompt": list(prompts[i : i + BATCH]), "max_new_tokens": tokens,
                    "memory": memory}  # fmt: skip
            rows = self.call("generate", body)["results"]
            found += [Answer(r["text"], r["in_scope"], r["confidence"]) for r in rows]
        return found

    def score(self, pairs: Sequence[tuple[str, str]], memory: str = "auto") -> list[float]:
        """Log-probability of each target after its prompt."""
        found: list[float] = []
        for i in range(0, len(pairs), BATCH):
            items = [{"prompt": p, "targets": [t]} for p, t in pairs[i : i + BATCH]]
            rows = self.call("score", {"items": items, "memory": memory})["results"]
            found += [row["targets"][0]["logprob"] for row in rows]
        return found


@contextmanager
def tenant(url: str, key: str, name: str) -> Iterator[Tenant]:
    """A fresh tenant, erased afterwards."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT) as http:
        http.delete(f"/v1/tenants/{name}")
        http.put(f"/v1/tenants/{name}", json={}).raise_for_status()
        try:
            yield Tenant(http, name)
        finally:
            http.delete(f"/v1/tenants/{name}")
