"""Where the process is in its life: starting → ready → draining → stopped, or failed.

The readiness probe, admission and the server's shutdown all read this one state. Draining has
three steps: readiness is gone at once while requests are still admitted, for load balancers need
a moment to notice; then nothing new is admitted; then what still runs is cut, with an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from service.engine.protocol import EngineStopped
from service.errors import Draining, Starting

State = Literal["starting", "ready", "draining", "stopped", "failed"]
_NEXT: dict[State, tuple[State, ...]] = {
    "starting": ("ready", "draining", "failed", "stopped"),
    "ready": ("draining", "failed", "stopped"),
    "draining": ("failed", "stopped"),
    "failed": ("stopped",),
    "stopped": (),
}
CUT_SECONDS = 2.0  # for the last error events to go out


class Lifecycle:
    """The state, whether new requests are admitted, and how many are in progress."""

    def __init__(self) -> None:
        self.state: State = "starting"
        self.admitting = True
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.cut = asyncio.Event()  # set: what still runs ends now, with an error
        self._inflight = 0
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
        """Something that the process cannot live without is gone."""
        if self.state in ("stopped", "failed"):
            return
        self.to("failed")
        self.failure = cause
        self.cut.set()
        self.failed.set()

    def refusal(self) -> Exception | None:
        """Why nothing new is admitted; None while it is."""
        if self.state == "failed":
            return EngineStopped("the service has failed")
        if self.state == "starting":
            return Starting()
        return None if self.admitting and self.state != "stopped" else Draining()

    def ended(self) -> Exception:
        """Why what was in progress is cut."""
        return self.refusal() or Draining()

    def enter(self) -> None:
        self._inflight += 1
        self._idle.clear()

    def leave(self) -> None:
        self._inflight -= 1
        if not self._inflight:
            self._idle.set()

    async def drain(self, delay: float, patience: float) -> None:
        """Returns once nothing is in progress, cut after `patience` seconds."""
        if self.state != "failed":
            self.to("draining")
            await asyncio.sleep(delay)
        self.admitting = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), patience)
        self.cut.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), CUT_SECONDS)
