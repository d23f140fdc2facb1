"""A tenant under another checkpoint: its rows encoded anew from the stored texts, then swapped in.

Of what a tenant holds, only the pages depend on the checkpoint. So the pages of a new epoch are
filled beside the old ones, slot by slot, while the old ones are read and written; the log tells
which slots have moved since. For the last of those, changes are made to wait. One script then
takes the new pages and renames everything else (records, ids, cues, expiries, documents, outcomes
of changes): none of it is copied, so none of it can be lost. Cut short at any moment, the tenant
is what it was.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import numpy as np

from memory_store.errors import PageCorrupt, TenantNotFound, VersionConflict
from memory_store.filling import expect, new_epoch
from memory_store.fixed import FixedState
from memory_store.pages import FREE, HEADER, K, Layout
from memory_store.rows import check, pack, parse_record
from memory_store.scripts import Arg, Client, Scripts, page_key, parse_meta, translated
from memory_store.store import (
    Encode,
    Fact,
    MemorySpec,
    ReadParams,
    Record,
    Reencoded,
    TenantInfo,
)

BATCH: Final = 64  # rows encoded at once
FENCE_SECONDS: Final = 2  # that changes wait at most for one batch of the last ones
ATTEMPTS: Final = 20  # batches behind a fence
SLOTS_TO_REPLAY: Final = 4096

Slots = dict[int, tuple[np.void, bytes | None]]  # slot → row under the old layout, record


@dataclass
class Source:
    """The tenant as it was last looked at: how its rows lie, and what is still to be done."""

    info: TenantInfo
    layout: Layout
    slots: int
    pages_read: int = 0
    todo: Slots = field(default_factory=dict)  # read, and not yet brought over as they are now

    @classmethod
    def of(cls, tenant: str, reply: list[Any]) -> Source:
        info, meta = parse_meta(tenant, reply)
        spec = MemorySpec(int(meta["d"]), int(meta["c"]), info.fingerprint)
        return cls(info, Layout(spec), int(meta["slots"]))

    @property
    def unread(self) -> bool:
        return self.pages_read * K < self.slots

    @property
    def rows(self) -> int:
        return self.info.rows


class Reencoder:
    """Re-encodes tenants for the checkpoint of one store."""

    def __init__(
        self, client: Client, scripts: Scripts, layout: Layout, params: ReadParams
    ) -> None:
        self._client, self._scripts = client, scripts
        self._layout, self._params = layout, params

    async def run(self, tenant: str, encode: Encode) -> AsyncGenerator[Reencoded, None]:
        """Progress after every batch; the last says how it ended. `encode` gives address (d,) and
        latent (C,) of each record.

        Raises VersionConflict where somebody else replaced the tenant or changes came faster than
        they could be followed, PageCorrupt, StoreFull, TenantNotFound, StoreUnavailable, and what
        `encode` raises: the tenant is then as it was.
        """
        source = Source.of(tenant, (await self._sync(tenant, None))[0])
        before = source.info
        if before.fingerprint == self._layout.spec.fingerprint:
            yield Reencoded("current", source.rows, source.rows, before, before)
            return
        async with new_epoch(self._scripts, tenant, source.slots) as epoch:
            done = 0
            while source.unread or len(source.todo) > BATCH:
                done += await self._step(source, epoch, encode)
                yield Reencoded("running", min(done, source.rows), source.rows, before, source.info)
            after = await self._finish(source, epoch, encode)
        yield Reencoded("reencoded", source.rows, source.rows, before, after)

    async def _step(self, source: Source, epoch: str, encode: Encode) -> int:
        """Bring a batch over, and look what has moved meanwhile; the size of the batch.

        Pages are read although something has moved: there may always be a writer.
        """
        if source.unread and len(source.todo) < BATCH:
            source.todo |= await self._page(source)
        batch = {slot: source.todo.pop(slot) for slot in list(islice(source.todo, BATCH))}
        if batch:
            await self._put(source, epoch, batch, encode)
        source.todo |= await self._moved(source)
        return len(batch)

    async def _finish(self, source: Source, epoch: str, encode: Encode) -> TenantInfo:
        """Follow the last changes behind a fence, and swap; the tenant after."""
        tenant, fingerprint = source.info.name, self._layout.spec.fingerprint
        for _ in range(ATTEMPTS):
            await expect(self._scripts, "fence", tenant, epoch, FENCE_SECONDS)
            await self._step(source, epoch, encode)
            if source.todo or source.unread:
                continue
            status, *version = await self._swap(source, epoch)
            if status == b"swapped":
                return replace(
                    source.info, epoch=epoch, version=int(version[0]), fingerprint=fingerprint
                )
        raise VersionConflict(f"tenant {tenant} changes faster than it can be re-encoded")

    async def _swap(self, source: Source, epoch: str) -> list[Any]:
        info, spec = source.info, self._layout.spec
        wider = self._layout.row_size - source.layout.row_size
        fixed = await self._fixed(source, epoch) if info.policy == "fixed" and source.rows else b""
        args: list[Arg] = [epoch, info.epoch, info.version, info.change, secrets.token_hex(16), K]
        args += [info.bytes + wider * source.rows]
        args += [spec.fingerprint, spec.address_dim, spec.latent_dim, fixed]
        return await self._scripts.run("reencode", info.name, *args)

    async def _fixed(self, source: Source, epoch: str) -> bytes:
        """Policy `fixed`: the sums over all rows of the new epoch."""
        state = FixedState.empty(self._layout.spec, self._params)
        none = self._layout.empty(0)
        for page in range(source.pages_read):
            with translated():
                data: Any = await self._client.get(page_key(source.info.name, epoch, page))
            if data is not None:
                rows = self._layout.parse_page(data, epoch, page)
                state = state.change(none, rows[rows["state"] != FREE])
        return state.pack(self._layout.spec, epoch)

    async def _page(self, source: Source) -> Slots:
        """The occupied rows of the next page, with their records."""
        info, number = source.info, source.pages_read
        reply = await self._scripts.run("page", info.name, info.epoch, number)
        if not reply:
            raise VersionConflict(f"tenant {info.name} was replaced while it was re-encoded")
        source.pages_read += 1
        rows = source.layout.parse_page(reply[0], info.epoch, number)
        records = {int(s): r for s, r in zip(reply[1][::2], reply[1][1::2], strict=True)}
        there = (np.flatnonzero(rows["state"] != FREE) + number * K).tolist()
        if set(there) != records.keys():
            raise PageCorrupt(f"page {number}: {len(there)} rows and {len(records)} records")
        return {slot: (rows[slot % K], records[slot]) for slot in there}

    async def _moved(self, source: Source) -> Slots:
        """What has changed of the pages read since `source` was brought up to date; it is then."""
        meta, status, *rest = await self._sync(source.info.name, source)
        if status == b"current":
            return {}
        if status != b"behind":
            raise VersionConflict(f"tenant {source.info.name} changed too much to be followed")
        newer = Source.of(source.info.name, meta)
        source.info, source.slots = newer.info, newer.slots
        slots, data, records = rest[0][::2], rest[0][1::2], rest[2]
        moved: Slots = {}
        for slot, row, record in zip(map(int, slots), data, records, strict=True):
            if slot < source.pages_read * K:
                moved[slot] = (source.layout.parse_row(row, source.info.epoch, slot)[0], record)
        return moved

    async def _put(self, source: Source, epoch: str, batch: Slots, encode: Encode) -> None:
        """Rows under the new layout, or zeros where the slot is free now."""
        layout = self._layout
        live = {slot: _record(slot, *item) for slot, item in batch.items() if _occupied(item[0])}
        vectors = await encode(list(live.values())) if live else []
        args: list[Arg] = [epoch, layout.header, layout.row_size, K]
        for slot in batch.keys() - live.keys():
            args += [slot, bytes(layout.row_size)]
        for (slot, record), (address, latent) in zip(live.items(), vectors, strict=True):
            fact = Fact("", address, latent, record.id, record.kind, expires_at=record.expires_at)
            check(fact, slot, layout.spec)
            row = pack(layout, fact, record.id, int(batch[slot][0]["stamp"]))
            args += [slot, layout.seal(row, epoch, slot)]
        await expect(self._scripts, "rows", source.info.name, *args)

    async def _sync(self, tenant: str, known: Source | None) -> list[Any]:
        """lua/sync.lua's reply: rows under the layout that is `known`. Raises TenantNotFound."""
        at = (known.info.epoch, known.info.version, known.info.change) if known else ("", 0, "")
        row_size = known.layout.row_size if known else 0
        shape = (SLOTS_TO_REPLAY, HEADER.size, row_size, K)
        reply = await self._scripts.run("sync", tenant, *at, *shape, "1")
        if not reply:
            raise TenantNotFound(tenant)
        return reply


def _occupied(row: np.void) -> bool:
    return bool(row["state"] != FREE)


def _record(slot: int, row: np.void, record: bytes | None) -> Record:
    if record is None:
        raise PageCorrupt(f"page {slot // K}: row {slot % K} has no record")
    return parse_record(record)
