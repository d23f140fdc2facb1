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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

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

SLOTS_TO_REPLAY: Final = 4096
ATTEMPTS: Final = 8
PAUSE: Final = 0.5  # seconds between questions to a Redis that is away


@dataclass(frozen=True, slots=True)
class Cached:
    view: View
    seen: float  # when it was known to be current, monotonic seconds


class Told(NamedTuple):
    """What lua/sync.lua replies."""

    info: TenantInfo
    pages: int
    got: Sequence[bytes | None]  # the values of keys that were got with it
    what: bytes  # reload, current or behind; if it is behind:
    rows: Sequence[bytes] = ()  # slot, row, ...
    fixed: bytes | None = None
    records: Sequence[bytes | None] = ()  # of those slots, if they were asked for


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
        told = await self._ask(tenant, view.info if view else None)
        self.stats.hits += told.what == b"current"
        if view is not None and told.what != b"reload":
            return self._replayed(view, told)
        for _ in range(ATTEMPTS):
            self.stats.loads += 1
            if not whole and told.pages * page_bytes(self._layout) > self._cache_bytes:
                return await self._paged(told.info, told.pages)
            view, told = await self._load(told.info, told.pages)
            if told.what != b"reload":
                return _whole(self._replayed(view, told))
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
            told = await self._ask(tenant, before.info, with_records=True)
            if told.what != b"reload" and not before.stale:
                _follow(records, told.rows[::2], told.records)
                if len(records) != told.info.rows:
                    raise PageCorrupt(f"{len(records)} records of {told.info.rows} are there")
                return self._replayed(before, told), records
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

    async def _ask(
        self,
        tenant: str,
        known: TenantInfo | None,
        *,
        keys: Sequence[str] = (),
        with_records: bool = False,
    ) -> Told:
        """What changed since a view; `keys` are got just before. Raises TenantNotFound,
        CheckpointMismatch."""
        cached = (known.epoch, known.version, known.change) if known else ("", 0, "")
        shape = (HEADER.size, self._layout.row_size, K, int(with_records))
        args = (tenant, *cached, SLOTS_TO_REPLAY, *shape)
        got, reply = await self._scripts.get_and_run(keys, "sync", *args)
        if not reply:
            raise TenantNotFound(tenant)
        info, meta = parse_meta(tenant, reply[0])
        if info.fingerprint != self._layout.spec.fingerprint:
            raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")
        return Told(info, -(-int(meta["slots"]) // K), got, *reply[1:])

    def _replayed(self, view: View, told: Told) -> View:
        """The view that follows from one that is not too far behind."""
        if told.what == b"behind":
            self.stats.replays += 1
            view = view.with_rows(self._rows(told.info.epoch, told.rows))
            if view.fixed is not None and told.fixed is not None:
                stored = fixed.parse(told.fixed, view.spec, told.info.epoch)
                view = replace(view, fixed=view.fixed.agreeing_with(stored))
        return replace(view, info=told.info)

    def _rows(self, epoch: str, flat: Sequence[bytes]) -> dict[int, np.void]:
        rows: dict[int, np.void] = {}
        for slot, data in zip(flat[::2], flat[1::2], strict=True):
            rows[int(slot)] = self._layout.parse_row(data, epoch, int(slot))[0]
        return rows

    async def _paged(self, info: TenantInfo, pages: int) -> PagedView:
        state = await self._load_fixed(info) if info.policy == "fixed" else None
        loop = asyncio.get_running_loop()
        return PagedView(info, self._params, self._layout, pages, self._client, loop, state)

    async def _load(self, info: TenantInfo, total: int) -> tuple[View, Told]:
        """All pages, as they are while they are fetched, and what moved meanwhile.

        They are checked here: a thread would hold the interpreter as long.
        """
        state = await self._load_fixed(info) if info.policy == "fixed" else None
        keys = [page_key(info.name, info.epoch, n) for n in range(total)]
        pages = [
            self._parse(info.epoch, n, await self._get(key)) for n, key in enumerate(keys[:-1])
        ]
        told = await self._ask(info.name, info, keys=keys[-1:])
        pages += [self._parse(info.epoch, len(pages), data) for data in told.got]
        return View(info, self._layout.spec, self._params, tuple(pages), state), told

    async def _get(self, key: str) -> bytes | None:
        with translated():
            data: Any = await self._client.get(key)
        return data  # type: ignore[no-any-return]

    async def _load_fixed(self, info: TenantInfo) -> FixedState:
        told = await self._ask(info.name, info, keys=[fixed_key(info.name, info.epoch)])
        if told.got[0] is not None:
            return fixed.parse(told.got[0], self._layout.spec, info.epoch)
        if info.rows and told.info.epoch == info.epoch:
            raise PageCorrupt("page fixed is gone")
        return FixedState.empty(self._layout.spec, self._params)

    def _parse(self, epoch: str, n: int, data: bytes | None) -> CachedPage:
        return CachedPage(self._layout.parse_page(data, epoch, n))

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


def _whole(view: View) -> View:
    """What was loaded, if it is all there: a page that is gone is loaded as an empty one. Raises
    PageCorrupt."""
    rows = [int(np.count_nonzero(page.rows["state"])) for page in view.pages]
    if sum(rows) != view.info.rows:
        empty = ", ".join(str(n) for n, count in enumerate(rows) if not count)
        found = f"{sum(rows)} rows of {view.info.rows} are there"
        raise PageCorrupt(f"{found}; empty pages: {empty or 'none'}")
    if view.fixed and view.fixed.count != view.info.rows:
        raise PageCorrupt(f"page fixed is of {view.fixed.count} rows, not of {view.info.rows}")
    return view


def _follow(
    records: dict[int, bytes], slots: Sequence[bytes], moved: Sequence[bytes | None]
) -> None:
    for slot, record in zip(slots, moved, strict=True):
        records.pop(int(slot), None)
        if record is not None:
            records[int(slot)] = record
