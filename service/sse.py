"""Server-sent events: a reply that begins before its end is known.

The first event is awaited before the status goes out, so that a full queue or an over-long
prompt is still an honest 4xx; what fails later, or after the first comment that kept a waiting
connection alive, is an `error` event inside the stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi import Request
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from service.errors import envelope, problem_of
from service.lifecycle import Lifecycle
from service.middleware import log_failure, service_of
from service.waiting import answer

Reply = TypeVar("Reply", bound=BaseModel)
KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
# For a route's `responses`: it may also stream. (OpenAPI 3.2, 4.14.4)
_EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"itemSchema": _EVENT}}}
}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(data: Any, name: str | None = None) -> bytes:
    """One event; a string goes out as it is, all else as JSON."""
    text = data if isinstance(data, str) else json.dumps(data, allow_nan=False)
    return format_sse_event(data_str=text, event=name)


async def event_stream(
    request: Request,
    events: AsyncGenerator[bytes, None],
    *,
    on_error: Callable[[dict[str, Any]], bytes] = lambda body: event(body, "error"),
) -> StreamingResponse:
    """The reply that sends `events`. Closing the reply closes them.

    Raises what the first event does, unless it takes so long that a proxy could lose patience.
    """
    first = asyncio.ensure_future(_next(events))
    try:
        await answer(request, _patiently(first))
    except BaseException:
        first.cancel()
        await asyncio.wait([first])
        raise
    lifecycle = service_of(request.scope).lifecycle

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(events):
            try:
                async for chunk in _kept_alive(first, events, lifecycle):
                    yield chunk
            except Exception as exc:
                problem = problem_of(exc)
                log_failure(exc, problem)
                yield on_error(envelope(problem, request.state.request_id))

    return StreamingResponse(body(), media_type="text/event-stream", headers=HEADERS)


async def last_of(work: AsyncGenerator[Reply, None]) -> Reply:
    """How long work ended, for those who do not want to see its progress."""
    async with aclosing(work):
        async for state in work:
            last = state
    return last


async def progress_of(work: AsyncGenerator[Reply, None]) -> AsyncGenerator[bytes, None]:
    """Long work as events: `progress` as it comes, `done` with the last state."""
    async with aclosing(work):
        async for state in work:
            last = state
            yield event(state.model_dump_json(), "progress")
    yield event(last.model_dump_json(), "done")


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)


async def _patiently(first: asyncio.Task[bytes | None]) -> None:
    """Raises what the first event does, if it comes before a comment is due."""
    done, _ = await asyncio.wait([first], timeout=KEEP_ALIVE_SECONDS)
    for task in done:
        task.result()


async def _kept_alive(
    pending: asyncio.Task[bytes | None],
    events: AsyncGenerator[bytes, None],
    lifecycle: Lifecycle,
) -> AsyncIterator[bytes]:
    """The events, with a comment wherever they pause too long for a proxy's patience."""
    stop = asyncio.ensure_future(lifecycle.cut.wait())
    try:
        if not pending.done():  # it was waited for already
            yield KEEP_ALIVE
        while True:
            await asyncio.wait(
                [pending, stop],
                timeout=KEEP_ALIVE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if pending.done():
                chunk = pending.result()
                if chunk is None:
                    return
                yield chunk
                pending = asyncio.ensure_future(_next(events))
            elif stop.done():
                raise lifecycle.ended()
            else:
                yield KEEP_ALIVE
    finally:
        for task in (pending, stop):
            task.cancel()
        # Shielded: a client that left cancels every wait, and `events` cannot be closed while
        # its next event is still being waited for.
        with CancelScope(shield=True):
            await asyncio.wait([pending, stop])
