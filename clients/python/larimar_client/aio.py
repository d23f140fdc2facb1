"""The client for asyncio: the same calls, awaited."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import wraps
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


def _of_service(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncLarimar, P], Awaitable[T]]:
    @wraps(build)
    def method(self: AsyncLarimar, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self.call(build(*args, **kwargs))

    return method


def _of_tenant(
    build: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[AsyncTenant, P], Awaitable[T]]:
    @wraps(build)
    def method(self: AsyncTenant, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self.service.call(build(self.name, *args, **kwargs))

    return method


def _stream_of_tenant(
    build: Callable[Concatenate[str, P], StreamCall[T]],
) -> Callable[Concatenate[AsyncTenant, P], AsyncIterator[T]]:
    @wraps(build)
    def method(self: AsyncTenant, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self.service.stream(build(self.name, *args, **kwargs))

    return method


class AsyncLarimar:
    """A service. Close it, or use it as an async context manager; tasks may share it.

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
        self._http = httpx.AsyncClient(**wire.options(url, key, timeout))
        self._retry = retry or Retry()

    def tenant(self, name: str = "default") -> AsyncTenant:
        """One tenant's memory; nothing is asked of the service."""
        return AsyncTenant(self, name)

    tenants = _of_service(calls.tenants)
    put_tenant = _of_service(calls.put_tenant)
    delete_tenant = _of_service(calls.delete_tenant)
    keys = _of_service(calls.keys)
    create_key = _of_service(calls.create_key)
    rotate_key = _of_service(calls.rotate_key)
    delete_key = _of_service(calls.delete_key)
    audit_page = _of_service(calls.audit_page)
    receipt_key = _of_service(calls.receipt_key)

    async def call(self, call: Call[T]) -> T:
        """Make a call of `larimar_client.calls`. Raises LarimarError."""
        return wire.value(call, await self._send(call))

    async def stream(self, call: StreamCall[T]) -> AsyncIterator[T]:
        """The items of a stream, as they arrive. Raises LarimarError."""
        reader = call.reader()
        response = await self._send(call.call, streamed=True)
        async with aclosing(response):
            with wire.transport():
                async for chunk in response.aiter_bytes():
                    for item in reader.feed(chunk):
                        yield item
        reader.finish()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _send(self, call: Call[Any], *, streamed: bool = False) -> httpx.Response:
        """A successful reply, after as many attempts as it takes."""
        attempts = Attempts(self._retry, call.repeatable)
        while True:
            try:
                return await self._attempt(wire.request(self._http, call), streamed)
            except LarimarError as exc:
                seconds = attempts.wait_after(exc)
            await sleep(seconds)

    async def _attempt(self, request: httpx.Request, streamed: bool) -> httpx.Response:
        with wire.transport():
            response = await self._http.send(request, stream=streamed)
            if response.is_success:
                return response
            await response.aread()
        raise wire.failure(response)


@dataclass(frozen=True)
class AsyncTenant:
    """One tenant's memory."""

    service: AsyncLarimar
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

    async def facts(self) -> AsyncIterator[StoredFact]:
        """All facts, page after page."""
        cursor: str | None = None
        while True:
            page = await self.facts_page(cursor=cursor)
            for one in page.facts:
                yield one
            cursor = page.next_cursor
            if cursor is None:
                return
