"""The bounded queue between the event loop and the device thread.

A tenant may hold as much of the queue as is free beside it (dynamic thresholds: Choudhury and
Hahne, IEEE/ACM ToN 1998): alone up to half, and however much one sends, room is left for others.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from service.engine.protocol import EngineStopped, Kind, QueueFull

ITEMS_A_ROW = 16  # facts, queries and targets that weigh as much as one row to decode
LONGEST_WAIT = 60  # seconds that a refused client is told to wait at most


@dataclass(eq=False)
class Job:
    """One call: its items wait, are worked on in batches with others', and answer together."""

    kind: Kind
    tenant: str
    items: Sequence[Any]
    extra: Any = None
    done: Future[Any] = field(default_factory=Future)
    given_up: bool = False  # set by the loop, read by the thread: nobody waits any more
    arrived: float = field(default_factory=time.monotonic)
    waited: float | None = None  # seconds until work on the first of its items

    @property
    def size(self) -> int:
        """Its share of the queue, in rows."""
        n = len(self.items)
        if self.kind == "score":
            return sum(-(-len(item.targets) // ITEMS_A_ROW) for item in self.items)
        return n if self.kind == "generate" else -(-n // ITEMS_A_ROW)

    @property
    def over(self) -> bool:
        return self.given_up or self.done.done()

    def begin(self) -> None:
        if self.waited is None:
            self.waited = time.monotonic() - self.arrived

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Intake:
    """Thread-safe; `limit` rows of work are let in at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: list[Job] = []
        self._held: Counter[str] = Counter()  # rows of work by tenant, taken or not
        self._changed = threading.Condition()
        self._stopping = self._dead = False
        self._busy_since, self._served = 0.0, 0

    @property
    def pending(self) -> int:
        return self._held.total()

    @property
    def dead(self) -> bool:
        return self._dead

    @property
    def stopping(self) -> bool:
        return self._stopping

    def put(self, job: Job) -> None:
        """Raises QueueFull and EngineStopped."""
        with self._changed:
            if self._dead or self._stopping:
                raise EngineStopped("the engine has stopped")
            pending, held = self._held.total(), self._held[job.tenant]
            if pending and held + job.size > self._limit - pending:
                raise QueueFull(self._patience(pending))
            if not pending:
                self._busy_since, self._served = time.monotonic(), 0
            self._held[job.tenant] += job.size
            self._jobs.append(job)
            self._changed.notify()

    def _patience(self, pending: int) -> int:
        """Seconds that what waits now will take, at the pace since the queue was empty."""
        each = (time.monotonic() - self._busy_since) / max(self._served, 1)
        return min(max(math.ceil(pending * each), 1), LONGEST_WAIT) if self._served else 1

    def take(self, *, wait: bool) -> list[Job]:
        """What has arrived; waits for something, or for the end, where there is nothing to do."""
        with self._changed:
            while wait and not self._jobs and not self._stopping:
                self._changed.wait()
            jobs, self._jobs = self._jobs, []
        started: list[Job] = []
        for job in jobs:
            if job.done.set_running_or_notify_cancel():  # it cannot be cancelled any more
                started.append(job)
            else:
                self.release(job.tenant, job.size)
        return started

    def release(self, tenant: str, size: int) -> None:
        """So many rows of a tenant's work are over."""
        with self._changed:
            self._held[tenant] -= size
            self._served += size
            if self._held[tenant] <= 0:
                del self._held[tenant]

    def stop(self) -> None:
        """Nothing new is let in, and `take` does not wait any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def die(self) -> list[Job]:
        """The jobs that nobody has taken, and will."""
        with self._changed:
            self._dead = True
            jobs, self._jobs = self._jobs, []
        return jobs
