"""A tenant larger than the cache: its pages are fetched while it is read, and not kept.

Slow, but bounded: one block of pages at a time. Reading happens on another thread than the event
loop, which does the fetching. A change may fall between two pages, so such a read is of the rows
as they were when each was looked at; a row that was erased meanwhile is left out. One that falls
into a replacement of the whole tenant is refused: it would find nothing where its pages were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_store import kernel
from memory_store.blocks import PAGES, Block
from memory_store.errors import PageCorrupt, StoreUnavailable
from memory_store.fixed import FixedState
from memory_store.pages import K, Layout, Rows
from memory_store.places import Places
from memory_store.scripts import Client, meta_key, page_key, record_key, translated
from memory_store.store import Float32, MemorySpec, Readout, ReadParams, TenantInfo
from memory_store.view import CachedPage

T = TypeVar("T")
SECONDS: Final = 60.0  # for one block of pages
AT_ONCE: Final = 500  # rows in one round trip


@dataclass(frozen=True)
class PagedView:
    """`TenantMemory` of store.py. `read` blocks its thread, which must not be the event loop's."""

    info: TenantInfo
    params: ReadParams
    layout: Layout
    pages: int
    client: Client
    loop: asyncio.AbstractEventLoop
    fixed: FixedState | None = None
    stale: bool = False

    @property
    def spec(self) -> MemorySpec:
        return self.layout.spec

    @property
    def now(self) -> float:
        return time.time()

    @property
    def blocks(self) -> Iterator[Block]:
        for first in range(0, self.pages, PAGES):
            count = min(PAGES, self.pages - first)
            yield Block(self._wait(self._fetch(range(first, first + count))))

    def read(self, queries: Float32) -> Readout:
        """Least-squares read of queries (Q, d). Raises ValueError, PageCorrupt,
        StoreUnavailable, and RuntimeError on the event loop's own thread."""
        return kernel.read_many([self], [queries])[0]

    def rows(self, slots: NDArray[np.int64]) -> Places:
        each, back = np.unique(slots, return_inverse=True)  # what many queries hit is fetched once
        return Places.of(self.layout, self._wait(self._rows(each))).take(back)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self.loop:
            work.close()
            raise RuntimeError("a tenant larger than the cache is read from another thread")
        fetched = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return fetched.result(SECONDS)
        except TimeoutError as error:
            fetched.cancel()
            raise StoreUnavailable(f"no answer from Redis in {SECONDS:.0f} s") from error

    async def _fetch(self, numbers: Sequence[int]) -> list[CachedPage]:
        name, epoch, pages = self.info.name, self.info.epoch, []
        for n in numbers:
            pipe = self.client.pipeline(transaction=False)
            pipe.hlen(record_key(name, epoch, n))  # first: a row may be written in between
            pipe.get(page_key(name, epoch, n))
            records, data = await self._sent(pipe)
            if records and data is None:
                raise PageCorrupt(f"page {n} is gone, with {records} rows")
            pages.append(CachedPage(self.layout.parse_page(data, epoch, n)))
        return pages

    async def _sent(self, pipe: Any) -> list[Any]:
        """Replies that are of this view's epoch, since it is the tenant's after them."""
        pipe.hget(meta_key(self.info.name), "epoch")
        replies: list[Any]
        with translated():
            *replies, epoch = await pipe.execute()
        if epoch != self.info.epoch.encode():
            raise StoreUnavailable(f"tenant {self.info.name} was replaced while it was read")
        return replies

    async def _rows(self, slots: NDArray[np.int64]) -> Rows:
        layout, found = self.layout, [self.layout.empty(0)]
        for start in range(0, len(slots), AT_ONCE):
            part = slots[start : start + AT_ONCE].tolist()
            pipe = self.client.pipeline(transaction=False)
            for slot in part:
                first = layout.offset(slot)
                key = page_key(self.info.name, self.info.epoch, slot // K)
                pipe.getrange(key, first, first + layout.row_size - 1)
            stored = zip(part, await self._sent(pipe), strict=True)
            found += [layout.parse_row(data, self.info.epoch, slot) for slot, data in stored]
        return np.concatenate(found)
