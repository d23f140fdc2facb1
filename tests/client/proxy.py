"""A real HTTP server in front of the service that fails on demand.

It stands for what lies between a client and a service: load balancers that answer for it, and
connections that break after the request went through but before the reply came back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx


@dataclass(frozen=True)
class Answer:
    """Replied in place of the service."""

    status: int
    body: bytes = b"no upstream"
    headers: dict[str, str] = field(default_factory=dict)


Fault = Answer | Literal["cut before", "cut after"]  # the service is asked only in the last


@dataclass
class Proxy:
    """What it does next, and what it saw. An empty `faults` passes everything on."""

    upstream: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def keys(self) -> list[str | None]:
        """The Idempotency-Key of every attempt."""
        return [headers.get("idempotency-key") for _, _, headers in self.seen]


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _handle(proxy, self)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: pytest shows what failed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        proxy.http.close()


def _handle(proxy: Proxy, handler: BaseHTTPRequestHandler) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    headers = {name.lower(): value for name, value in handler.headers.items()}
    proxy.seen.append((handler.command, handler.path, headers))
    fault = proxy.faults.pop(0) if proxy.faults else None
    if fault == "cut before":
        handler.close_connection = True
        return
    if isinstance(fault, Answer):
        return _reply(handler, fault)
    kept = {k: v for k, v in headers.items() if k not in ("host", "content-length", "connection")}
    url = proxy.upstream + handler.path
    reply = proxy.http.request(handler.command, url, content=body, headers=kept)
    if fault == "cut after":
        handler.close_connection = True
        return
    content_type = reply.headers.get("Content-Type", "")
    _reply(handler, Answer(reply.status_code, reply.content, {"Content-Type": content_type}))


def _reply(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if answer.status != 204:
        handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    if answer.status != 204:
        handler.wfile.write(answer.body)
