"""The client that blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from time import sleep
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from larimar_client import calls, streams, wire
from larimar_client.calls import Call
from larimar_client.errors import LarimarError
from larimar_client.models import StoredFact
from larimar_client.retry import Attempts, Retry
from larimar_client.streams import StreamCall

P = ParamSpec("P")
T = TypeVar("T")


def _of_service(build: Callable[P, Call[T]]) -> Callable[Concatenate[Larimar, P], T]:
    @wraps(build)
    def method(self: Larimar, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.call(build(*args, **kwargs))

    return method


def _of_tenant(
    build: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[Tenant, P], T]:
    @wraps(build)
    def method(self: Tenant, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.service.call(build(self.name, *args, **kwargs))

    return method


def _stream_of_tenant(
    build: Callable[Concatenate[str, P], StreamCall[T]],
) -> Callable[Concatenate[Tenant, P], Iterator[T]]:
    @wraps(build)
    def method(self: Tenant, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.service.stream(build(self.name, *args, **kwargs))

    return method


class Larimar:
    """A service. Close it, or use it as a context manager; threads may share it.

    `url` and `key` default to LARIMAR_URL and LARIMAR_KEY.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: httpx.Timeout | float = wire.TIMEOUT,
        retry: Retry | None = None,
    ) -> None:
        self._http = httpx.Client(**wire.options(url, key, timeout))
        self._retry = retry or Retry()

    def tenant(self, name: str = "default") -> Tenant:
        """One tenant's memory; nothing is asked of the service."""
        return Tenant(self, name)

    tenants = _of_service(calls.tenants)
    put_tenant = _of_service(calls.put_tenant)
    delete_tenant = _of_service(calls.delete_tenant)
    keys = _of_service(calls.keys)
    create_key = _of_service(calls.create_key)
    rotate_key = _of_service(calls.rotate_key)
    delete_key = _of_service(calls.delete_key)
    audit_page = _of_service(calls.audit_page)
    receipt_key = _of_service(calls.receipt_key)

    def call(self, call: Call[T]) -> T:
        """Make a call of `larimar_client.calls`. Raises LarimarError."""
        return wire.value(call, self._send(call))

    def stream(self, call: StreamCall[T]) -> Iterator[T]:
        """The items of a stream, as they arrive. Raises LarimarError."""
        reader = call.reader()
        response = self._send(call.call, streamed=True)
        with closing(response), wire.transport():
            for chunk in response.iter_bytes():
                yield from reader.feed(chunk)
        reader.finish()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: Call[Any], *, streamed: bool = False) -> httpx.Response:
        """A successful reply, after as many attempts as it takes."""
        attempts = Attempts(self._retry, call.repeatable)
        while True:
            try:
                return self._attempt(wire.request(self._http, call), streamed)
            except LarimarError as exc:
                seconds = attempts.wait_after(exc)
            sleep(seconds)

    def _attempt(self, request: httpx.Request, streamed: bool) -> httpx.Response:
        with wire.transport():
            response = self._http.send(request, stream=streamed)
            if response.is_success:
                return response
            response.read()
        raise wire.failure(response)


@dataclass(frozen=True)
class Tenant:
    """One tenant's memory."""

    service: Larimar
    name: str

    write = _of_tenant(calls.write)
    forget = _of_tenant(calls.forget)
    read = _of_tenant(calls.read)
    generate = _of_tenant(calls.generate)
    score = _of_tenant(calls.score)
    facts_page = _of_tenant(calls.facts_page)
    fact = _of_tenant(calls.fact)
    delete_fact = _of_tenant(calls.delete_fact)
    add_document = _of_tenant(calls.add_document)
    documents = _of_tenant(calls.documents)
    document = _of_tenant(calls.document)
    delete_document = _of_tenant(calls.delete_document)
    info = _of_tenant(calls.info)
    usage = _of_tenant(calls.usage)
    restore = _of_tenant(calls.restore)
    reencode = _of_tenant(calls.reencode)
    stream = _stream_of_tenant(streams.generate)
    snapshot = _stream_of_tenant(streams.snapshot)
    stream_document = _stream_of_tenant(streams.add_document)
    stream_reencode = _stream_of_tenant(streams.reencode)

    def facts(self) -> Iterator[StoredFact]:
        """All facts, page after page."""
        cursor: str | None = None
        while True:
            page = self.facts_page(cursor=cursor)
            yield from page.facts
            cursor = page.next_cursor
            if cursor is None:
                return
