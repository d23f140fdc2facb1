"""Tenants' views, kept current with one round trip a request.

A cached view is current only if epoch, version and change are those in Redis. One that is behind
replays the log: the rows that were touched since, fetched in the same step that names them. A gap
in the log, another epoch or an unknown change means that history was rewritten (a tenant made
anew, a failover that lost writes): the view is dropped and loaded again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from memory_store import fixed
from memory_store.errors import CheckpointMismatch, PageCorrupt, StoreUnavailable, TenantNotFound
from memory_store.fixed import FixedState
from memory_store.paged import PagedView
from memory_store.pages import HEADER, K, Layout
from memory_store.scripts import (
    Client,
    Scripts,
    fixed_key,
    page_key,
    parse_meta,
    record_key,
    translated,
)
from memory_store.store import CacheStats, ReadParams, TenantInfo
from memory_store.view import CachedPage, View, page_bytes

PAGES_AT_ONCE: Final = 8
PAGES_INLINE: Final = 2  # a tenant of so few comes in one step
SLOTS_TO_REPLAY: Final = 4096
ATTEMPTS: Final = 8
PAUSE: Final = 0.5  # seconds between questions to a Redis that is away


@dataclass(frozen=True, slots=True)
class Cached:
    view: View
    seen: float  # when it was known to be current, monotonic seconds


class ViewCache:
    """Least recently used tenants leave when the views hold more than `cache_bytes`."""

    def __init__(
        self,
        client: Client,
        scripts: Scripts,
        layout: Layout,
        params: ReadParams,
        cache_bytes: int,
        max_stale_seconds: float,
    ) -> None:
        self._client, self._scripts = client, scripts
        self._layout, self._params = layout, params
        self._cache_bytes, self._max_stale = cache_bytes, max_stale_seconds
        self._views: OrderedDict[str, Cached] = OrderedDict()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.stats = CacheStats(room=cache_bytes)
        self._ask_again = 0.0  # Redis was away: until then it is not asked

    async def view(self, tenant: str, *, whole: bool = False) -> View | PagedView:
        """The current view, or the last one, `stale`, while Redis is away. A tenant larger than
        the cache is loaded only if it must be `whole`.

        Raises TenantNotFound, CheckpointMismatch, PageCorrupt, StoreUnavailable.
        """
        async with self._locks[tenant]:
            cached = self._views.get(tenant)
            now = time.monotonic()
            try:
                if now < self._ask_again:
                    raise StoreUnavailable("Redis cannot be reached")
                view = await self._current(tenant, cached.view if cached else None, whole)
            except StoreUnavailable:
                if now >= self._ask_again:
                    self._ask_again = time.monotonic() + PAUSE
                if cached is None or now - cached.seen > self._max_stale:
                    raise
                return replace(cached.view, stale=True)
            except (TenantNotFound, CheckpointMismatch, PageCorrupt):
                self.drop(tenant)
                raise
            if isinstance(view, View):
                self._keep(tenant, Cached(view, now))
            return view

    async def whole(self, tenant: str) -> View:
        """The current view, of a tenant however large."""
        view = await self.view(tenant, whole=True)
        assert isinstance(view, View)
        return view

    async def _current(self, tenant: str, view: View | None, whole: bool) -> View | PagedView:
        for _ in range(ATTEMPTS):
            step, current = await self._step(tenant, view, whole=whole)
            if current or isinstance(step, PagedView):
                return step
            view = step
        raise StoreUnavailable(f"tenant {tenant} changes faster than it can be loaded")

    def drop(self, tenant: str) -> None:
        self._views.pop(tenant, None)
        self._locks.pop(tenant, None)
        self._weigh()

    async def snapshot(self, tenant: str) -> tuple[View, dict[int, bytes]]:
        """The view and the records by slot, both at one version.

        Records are fetched while others write; the log then tells which have moved.
        """
        for _ in range(ATTEMPTS):
            before = await self.whole(tenant)
            records = await self._records(before)
            view, current = await self._step(tenant, before, records, whole=True)
            if current and not before.stale and isinstance(view, View):
                return view, records
        raise StoreUnavailable(f"tenant {tenant} changes faster than it can be read")

    async def _records(self, view: View) -> dict[int, bytes]:
        records: dict[int, bytes] = {}
        for page in range(len(view.pages)):
            with translated():
                found: Any = await self._client.hgetall(
                    record_key(view.info.name, view.info.epoch, page)
                )
            records |= {int(slot): record for slot, record in found.items()}
        return records

    async def _step(
        self,
        tenant: str,
        view: View | None,
        records: dict[int, bytes] | None = None,
        *,
        whole: bool,
    ) -> tuple[View | PagedView, bool]:
        """Ask what changed since `view`; the view that follows, and whether it is current.

        `records`, by slot, are brought along to the same version.
        """
        reply = await self._ask(tenant, view.info if view else None, records is not None)
        layout, (info, meta) = self._layout, parse_meta(tenant, reply[0])
        if info.fingerprint != layout.spec.fingerprint:
            raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")
        if reply[1] == b"whole" and info.policy == "grow":
            self.stats.loads += 1
            parsed = tuple(self._parse(info.epoch, 0, reply[2]))
            return View(info, layout.spec, self._params, parsed), True
        if view is None or reply[1] in (b"whole", b"reload"):
            self.stats.loads += 1
            pages = -(-int(meta["slots"]) // K)
            if not whole and pages * page_bytes(layout) > self._cache_bytes:
                return await self._paged(info, pages), True
            return await self._load(info, pages), False
        if reply[1] == b"behind":
            if records is not None:
                _follow(records, reply[2][::2], reply[4])
            view = self._replay(view, info, reply[2], reply[3])
            self.stats.replays += 1
        else:
            self.stats.hits += 1
        return replace(view, info=info), True

    async def _ask(self, tenant: str, known: TenantInfo | None, with_records: bool) -> list[Any]:
        """lua/sync.lua's reply. Raises TenantNotFound."""
        cached = (known.epoch, known.version, known.change) if known else ("", 0, "")
        shape = (HEADER.size, self._layout.row_size, K)
        extra = ("1", 0) if with_records else ("0", PAGES_INLINE)
        reply = await self._scripts.run("sync", tenant, *cached, SLOTS_TO_REPLAY, *shape, *extra)
        if not reply:
            raise TenantNotFound(tenant)
        return reply

    def _replay(
        self, view: View, info: TenantInfo, moved: list[bytes], state: bytes | None
    ) -> View:
        view = view.with_rows(self._rows(info.epoch, moved))
        if view.fixed is None or state is None:
            return view
        stored = fixed.parse(state, view.spec, info.epoch)
        return replace(view, fixed=view.fixed.agreeing_with(stored))

    def _rows(self, epoch: str, flat: list[bytes]) -> dict[int, np.void]:
        rows: dict[int, np.void] = {}
        for slot, data in zip(flat[::2], flat[1::2], strict=True):
            row = np.frombuffer(data.ljust(self._layout.row_size, b"\0"), self._layout.dtype)
            self._layout.check_rows(row, epoch, int(slot))
            rows[int(slot)] = row[0]
        return rows

    async def _paged(self, info: TenantInfo, pages: int) -> PagedView:
        state = await self._load_fixed(info) if info.policy == "fixed" else None
        loop = asyncio.get_running_loop()
        return PagedView(info, self._params, self._layout, pages, self._client, loop, state)

    async def _load(self, info: TenantInfo, total: int) -> View:
        """All pages, as they are while they are fetched; the log then tells what moved since."""
        pages: list[CachedPage] = []
        for first in range(0, total, PAGES_AT_ONCE):
            numbers = range(first, min(first + PAGES_AT_ONCE, total))
            keys = [page_key(info.name, info.epoch, n) for n in numbers]
            with translated():
                stored: list[Any] = [await self._client.get(key) for key in keys]
            pages += await asyncio.to_thread(self._parse, info.epoch, first, stored)
        state = await self._load_fixed(info) if info.policy == "fixed" else None
        return View(info, self._layout.spec, self._params, tuple(pages), state)

    async def _load_fixed(self, info: TenantInfo) -> FixedState:
        with translated():
            data: Any = await self._client.get(fixed_key(info.name, info.epoch))
        if data is None:  # nothing written yet
            return FixedState.empty(self._layout.spec, self._params)
        return fixed.parse(data, self._layout.spec, info.epoch)

    def _parse(self, epoch: str, first: int, stored: list[bytes | None]) -> list[CachedPage]:
        layout = self._layout
        return [
            CachedPage(
                layout.empty() if data is None else layout.parse_page(data, epoch, first + i)
            )
            for i, data in enumerate(stored)
        ]

    def _keep(self, tenant: str, cached: Cached) -> None:
        self._views[tenant] = cached
        self._views.move_to_end(tenant)
        while self._weigh() > self._cache_bytes:
            self._views.popitem(last=False)
            self.stats.evictions += 1

    def _weigh(self) -> int:
        self.stats.tenants = len(self._views)
        self.stats.bytes = sum(each.view.nbytes for each in self._views.values())
        return self.stats.bytes


def _follow(records: dict[int, bytes], slots: list[bytes], moved: list[bytes | None]) -> None:
    for slot, record in zip(slots, moved, strict=True):
        records.pop(int(slot), None)
        if record is not None:
            records[int(slot)] = record
