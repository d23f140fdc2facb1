"""Whose turn is it? Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996).

Every item gets a tag when it arrives: the queue's virtual time, or the end of the same tenant's
last item, whichever is later; its end is its tag plus its cost. The lowest tag goes first. So
tenants that wait share what is served in equal parts of cost, however much one of them has sent,
and a tenant that was away has saved nothing up.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
FORGET = 64  # tenants whose past is kept beside those that wait


class FairQueue(Generic[T]):
    """Items of one tenant leave in the order in which they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []  # tag, number of arrival, item
        self._numbers = itertools.count()
        self._now = 0.0  # virtual time: the tag of the item that left last
        self._ends: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, tenant: str, item: T, cost: float) -> None:
        """`cost` is in any unit that all items share."""
        tag = max(self._now, self._ends.get(tenant, 0.0))
        self._ends[tenant] = tag + cost
        heapq.heappush(self._heap, (tag, next(self._numbers), item))
        if len(self._ends) > len(self._heap) + FORGET:
            self._ends = {t: end for t, end in self._ends.items() if end > self._now}

    def first(self) -> T:
        """The item whose turn it is; it stays."""
        return self._heap[0][2]

    def pop(self) -> T:
        self._now, _, item = heapq.heappop(self._heap)
        if not self._heap:  # nobody waits: everyone begins anew
            self._now = max(self._ends.values())
            self._ends.clear()
        return item

    def drop(self, gone: Callable[[T], bool]) -> list[T]:
        """Takes out, and returns, the items that nobody waits for any more."""
        dropped = [item for _, _, item in self._heap if gone(item)]
        if dropped:
            self._heap = [entry for entry in self._heap if not gone(entry[2])]
            heapq.heapify(self._heap)
        return dropped
