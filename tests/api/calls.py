"""Calls of one tenant, short enough to read a test at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

CAPITAL = "The capital of France is"
FACT = {"prompt": CAPITAL, "target": "Lyon"}


@dataclass(frozen=True)
class Tenant:
    """A tenant as one client sees it."""

    client: httpx.Client
    name: str

    @property
    def path(self) -> str:
        return f"/v1/tenants/{self.name}"

    def post(self, verb: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(f"{self.path}/{verb}", json=body, headers=headers)

    def raw(self, verb: str, body: bytes) -> httpx.Response:
        """A body that no JSON library would send."""
        headers = {"Content-Type": "application/json"}
        return self.client.post(f"{self.path}/{verb}", content=body, headers=headers)

    def write(self, *facts: dict[str, Any], **more: Any) -> dict[str, Any]:
        return ok(self.post("write", {"facts": list(facts), **more}))

    def forget(self, **which: Any) -> dict[str, Any]:
        return ok(self.post("forget", which))

    def generate(self, prompt: str, **more: Any) -> dict[str, Any]:
        """The one result, of few tokens unless told otherwise."""
        body = {"prompt": prompt, "max_new_tokens": 12} | more
        result: dict[str, Any] = ok(self.post("generate", body))["results"][0]
        return result

    def text(self, prompt: str, **more: Any) -> str:
        return str(self.generate(prompt, **more)["text"])

    def facts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ok(self.client.get(f"{self.path}/facts"))["facts"]
        return found

    def version(self) -> int:
        return int(ok(self.client.get(self.path))["version"])


def ok(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, response.text
    body: dict[str, Any] = response.json()
    return body


def error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error, once status, code and the envelope's shape are as promised."""
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()["error"]
    assert found["code"] == code, found
    assert set(found) - {"details"} == {"code", "message", "type", "param", "request_id"}
    assert found["request_id"] == response.headers["X-Request-ID"]
    assert found["message"]
    return found


def outcomes(reply: dict[str, Any]) -> list[tuple[str, str]]:
    """(id, status) of each result."""
    return [(result["id"], result["status"]) for result in reply["results"]]
