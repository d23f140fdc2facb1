"""Where the process is in its life: starting → ready → draining → stopped, or failed.

The readiness probe, admission and the server's shutdown all read this one state.
"""

from __future__ import annotations

import asyncio
from typing import Literal

State = Literal["starting", "ready", "draining", "stopped", "failed"]
_NEXT: dict[State, tuple[State, ...]] = {
    "starting": ("ready", "draining", "failed", "stopped"),
    "ready": ("draining", "failed", "stopped"),
    "draining": ("failed", "stopped"),
    "failed": ("stopped",),
    "stopped": (),
}


class Lifecycle:
    """The state, whether new requests are admitted, and how many are in progress."""

    def __init__(self) -> None:
        self.state: State = "starting"
        self.admitting = True
        self.inflight = 0
        self.failure: BaseException | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def to(self, state: State) -> None:
        """Move on; a step that the drawing does not have is a programming error."""
        if state == self.state:
            return
        if state not in _NEXT[self.state]:
            raise ValueError(f"{self.state} → {state}")
        self.state = state

    def fail(self, cause: BaseException) -> None:
        self.failure = cause
        if self.state != "stopped":
            self.to("failed")

    def enter(self) -> None:
        self.inflight += 1
        self._idle.clear()

    def leave(self) -> None:
        self.inflight -= 1
        if not self.inflight:
            self._idle.set()

    async def idle(self) -> None:
        """Returns once nothing is in progress."""
        await self._idle.wait()
