"""Waiting for work that may have to end early: the client leaves, or the process must stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from service.errors import ClientGone
from service.middleware import service_of

T = TypeVar("T")


async def answer(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. A client that hangs up cancels the work, and so frees its rows.

    Raises Draining or EngineStopped when the process must stop, ClientGone where nobody is left.
    """
    lifecycle = service_of(request.scope).lifecycle
    task = asyncio.ensure_future(work)
    cut = asyncio.ensure_future(lifecycle.cut.wait())
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait([task, cut, gone], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise lifecycle.ended() if cut.done() else ClientGone()
    finally:
        for one in (task, cut, gone):
            one.cancel()
        await asyncio.wait([task, cut, gone])


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
