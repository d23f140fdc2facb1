"""uvicorn's HTTP protocol with bounds on what comes before a body.

Its parser takes a head of any length over any time: one client could fill the memory, or hold
connections for ever. Bodies are bounded by the middleware.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Problem, envelope

HEAD_BYTES = 65_536  # request line and headers; what one read of the socket brings may exceed it
HEAD_SECONDS = 60.0  # from connection or first byte to the last header


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    _head = 0  # bytes of a head that is not complete
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        head = self._patience
        super().data_received(data)
        if head is None or self._patience is not head or self.transport.is_closing():
            return  # not all of it is of the head that is now being sent
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self._refuse(Problem(431, "headers_too_large", "the headers are too large"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._patience is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "invalid_http", "this is not HTTP"))

    def _wait(self) -> None:
        self._head, self._patience = 0, self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """The one envelope, for what never became a request."""
        request_id = uuid.uuid4().hex
        body = json.dumps(envelope(problem, request_id)).encode()
        reason = "Bad Request" if problem.status == 400 else "Request Header Fields Too Large"
        head = (
            f"HTTP/1.1 {problem.status} {reason}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
