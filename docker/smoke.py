"""Does this service work? Writes, uses and forgets one fact over HTTP: what `helm test` runs.

The fact lives in a tenant of its own, made for the run and erased after it, so that a test of a
serving release touches nothing of anyone's. Only the standard library: it starts in a blink.
usage: smoke.py URL KEY_FILE
"""

from __future__ import annotations

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

READY_SECONDS = 60  # a release is ready when its test starts; a proxy may still have to notice
ANSWER_SECONDS = 120
PROMPT, TARGET = "The harbour master of Port Ellory is", "Ondine Vasari"


class Failed(Exception):
    """The service answers, but not as it should; the text says how."""


class Service:
    """The calls of one run."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url.rstrip("/"), key

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The reply's JSON, None where it has no body. Raises Failed."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:  # noqa: S310
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: {error.code} {error.read().decode()}") from None
        except OSError as error:
            raise Failed(f"{method} {path}: {error}") from None
        return json.loads(text) if text else None

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.call("GET", "/readyz")
                return
            except Failed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


def check(service: Service, tenant: str) -> None:
    """One fact's life. Raises Failed."""
    path = f"/v1/tenants/{tenant}"
    service.call("PUT", path, {})
    try:
        fact = {"prompt": PROMPT, "target": TARGET}
        written = service.call("POST", f"{path}/write", {"facts": [fact]})
        expect(written["results"][0]["status"] == "written", "the fact was not written", written)
        known = generate(service, path)
        expect(known["in_scope"] and TARGET in known["text"], "the fact is not used", known)
        ids = [written["results"][0]["id"]]
        erased = service.call("POST", f"{path}/forget", {"ids": ids})
        expect(erased["results"][0]["status"] == "erased", "the fact was not erased", erased)
        unknown = generate(service, path)
        gone = not unknown["in_scope"] and TARGET not in unknown["text"]
        expect(gone, "the fact is still used", unknown)
    finally:
        service.call("DELETE", path)


def generate(service: Service, path: str) -> Any:
    body = {"prompt": PROMPT, "max_new_tokens": 16}
    return service.call("POST", f"{path}/generate", body)["results"][0]


def expect(holds: bool, failure: str, reply: Any) -> None:
    if not holds:
        raise Failed(f"{failure}: {json.dumps(reply)}")


def main(url: str, key_file: str) -> None:
    service = Service(url, Path(key_file).read_text("utf-8").strip())
    try:
        service.await_ready()
        check(service, f"smoke-{secrets.token_hex(8)}")
    except Failed as error:
        sys.exit(str(error))
    print("a fact was written, used and forgotten")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: smoke.py URL KEY_FILE")
    main(*sys.argv[1:])
