"""What never becomes a request is refused too, in the envelope, before it can fill the memory."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import pytest

from service import connection
from tests.api.calls import ok
from tests.api.running import Running

START = b"GET /livez HTTP/1.1\r\nHost: here\r\n"


def dial(running: Running) -> socket.socket:
    host, port = running.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def answer(sock: socket.socket) -> tuple[int, str]:
    """Status and code, once the other side has hung up."""
    received = b""
    with suppress(ConnectionResetError):
        while data := sock.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    found = json.loads(body)["error"]
    assert f"X-Request-ID: {found['request_id']}".encode() in head
    return int(head.split()[1]), found["code"]


@pytest.mark.parametrize(
    "sent", [b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x00"]
)
def test_what_is_not_http_is_refused(running: Running, sent: bytes) -> None:
    with dial(running) as sock:
        sock.sendall(sent)
        assert answer(sock) == (400, "invalid_http")


@pytest.mark.parametrize("start", [b"GET /", START + b"X-Long: ", START])
def test_a_head_without_end_is_cut(running: Running, start: bytes) -> None:
    more = b"X-Many: a\r\n" * 1000 if start is START else b"a" * 10_000
    with dial(running) as sock:
        sock.sendall(start)
        sent = 0
        with suppress(ConnectionError):
            while sent < 64 << 20:
                sock.sendall(more)
                sent += len(more)
        assert sent < 64 << 20
    with running.client() as client:
        assert ok(client.get("/livez"))


def test_a_long_head_is_told_why(running: Running) -> None:
    with dial(running) as sock:
        sock.sendall(START + b"X-Long: " + b"a" * connection.HEAD_BYTES)
        assert answer(sock) == (431, "headers_too_large")


def test_a_head_that_never_ends_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    for sent in (b"", START):
        with dial(running) as sock:
            sock.sendall(sent)
            assert sock.recv(1) == b""  # hung up


def test_kept_connections_and_pipelines_go_on(running: Running) -> None:
    whole = START + b"\r\n"
    with dial(running) as sock:
        for _ in range(3):
            sock.sendall(whole + whole)
            received = b""
            while received.count(b'{"status":"alive"}') < 2:
                received += sock.recv(65536)
