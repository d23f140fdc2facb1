"""Server-sent events: a reply that begins before its end is known.

The first event is awaited before the status goes out, so that a full queue or an over-long
prompt is still an honest 4xx; what fails later is an `error` event inside the stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from service.errors import envelope, problem_of
from service.middleware import log_failure

KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(data: Any, name: str | None = None) -> bytes:
    """One event; a string goes out as it is, all else as JSON."""
    text = data if isinstance(data, str) else json.dumps(data, allow_nan=False)
    return format_sse_event(data_str=text, event=name)


async def event_stream(
    events: AsyncGenerator[bytes, None],
    request_id: str,
    *,
    on_error: Callable[[dict[str, Any]], bytes] = lambda body: event(body, "error"),
) -> StreamingResponse:
    """The reply that sends `events`. Closing the reply closes them. Raises what the first does."""
    first = await anext(events, None)

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(events):
            if first is not None:
                yield first
            try:
                async for chunk in _kept_alive(events):
                    yield chunk
            except Exception as exc:
                problem = problem_of(exc)
                log_failure(exc, problem)
                yield on_error(envelope(problem, request_id))

    return StreamingResponse(body(), media_type="text/event-stream", headers=HEADERS)


async def _kept_alive(events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The events, with a comment wherever they pause too long for a proxy's patience."""
    pending: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait([pending], timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield KEEP_ALIVE
                continue
            chunk, pending = pending.result(), None
            if chunk is None:
                return
            yield chunk
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait([pending])
