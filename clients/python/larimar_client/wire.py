"""What both clients share of HTTP: how a call becomes a request, and a reply its value.

Nothing here sends anything, so nothing here is written twice.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any, TypeVar

import httpx

from larimar_client import errors
from larimar_client.calls import Call
from larimar_client.errors import Unreachable

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(120.0, connect=5.0)  # seconds; a long generation on a CPU takes its time
PIECE = 1 << 18  # bytes of a file that are read, and sent, at a time
_BROKEN = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def options(url: str | None, key: str | None, timeout: httpx.Timeout | float) -> dict[str, Any]:
    """Arguments of an httpx client; what is not given comes from LARIMAR_URL and LARIMAR_KEY."""
    key = key or os.environ.get("LARIMAR_KEY")
    return {
        "base_url": url or os.environ.get("LARIMAR_URL") or DEFAULT_URL,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": timeout,
    }


def request(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """A new request: a file is opened again for every attempt."""
    headers = dict(call.headers)
    content: Iterator[bytes] | AsyncIterator[bytes] | None = None
    if call.file is not None:
        headers["Content-Length"] = str(call.file.stat().st_size)
        awaited = isinstance(http, httpx.AsyncClient)
        content = _awaited_pieces(call.file) if awaited else _pieces(call.file)
    return http.build_request(
        call.method,
        call.path,
        json=call.body,
        content=content,
        params=call.params or None,
        headers=headers,
    )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


async def _awaited_pieces(path: Path) -> AsyncIterator[bytes]:
    for piece in _pieces(path):
        yield piece


@contextmanager
def transport() -> Iterator[None]:
    """What a network does to a call, as our error; wrong use of httpx stays as it is."""
    try:
        yield
    except _BROKEN as exc:
        message = f"{type(exc).__name__}: {exc}"
        raise Unreachable(message, sent=not isinstance(exc, _NEVER_SENT)) from exc


def value(call: Call[T], response: httpx.Response) -> T:
    """A successful reply's value. Raises UnexpectedReply."""
    return call.parse(_json(response))


def failure(response: httpx.Response) -> errors.ApiError:
    """The error of a reply of 400 and more, whose body has been read."""
    try:
        body = _json(response)
    except errors.UnexpectedReply:
        body = None
    return errors.of(response.status_code, body, _retry_after(response))


def _json(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        raise errors.UnexpectedReply("the reply is not JSON") from None


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; the header holds seconds or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return None
