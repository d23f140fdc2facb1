"""A tenant's rows replaced as a whole: a new epoch is filled unseen, then swapped in.

Readers and writers go on in the old epoch meanwhile. The swap is one script; what was begun and
never finished is noted in the tenant's meta and let go by the next try or by its deletion.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from memory_store.cache import ViewCache
from memory_store.changes import REMEMBER_CLIENT, REMEMBER_OWN, Changes
from memory_store.documents import Documents
from memory_store.errors import QuotaExceeded, VersionConflict
from memory_store.filling import expect, new_epoch
from memory_store.fixed import FixedState
from memory_store.pages import K, Layout, Rows
from memory_store.rows import pack, record_bytes
from memory_store.scripts import Arg, Scripts
from memory_store.snapshot import Item, Snapshot, export
from memory_store.store import Change, ChangeRequest, ReadParams


class Transfer:
    """Snapshots in and out."""

    def __init__(
        self,
        scripts: Scripts,
        layout: Layout,
        params: ReadParams,
        cache: ViewCache,
        changes: Changes,
        documents: Documents,
    ) -> None:
        self._scripts, self._layout, self._params = scripts, layout, params
        self._cache, self._changes, self._documents = cache, changes, documents

    async def export(self, tenant: str) -> AsyncIterator[bytes]:
        documents = await self._documents.all(tenant)
        view, records = await self._cache.snapshot(tenant)
        while documents != (moved := await self._documents.all(tenant)):
            documents = moved
            view, records = await self._cache.snapshot(tenant)
        pieces = export(view, records, documents)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def replace(self, tenant: str, path: Path, request: ChangeRequest) -> Change:
        info, done = await self._changes.look(tenant, request)
        if done is not None:
            return done
        if request.expected_version not in (None, info.version):
            raise VersionConflict(f"tenant {tenant} is at version {info.version}")
        snapshot = await asyncio.to_thread(Snapshot, path, self._layout.spec)
        if snapshot.n > info.quota_facts:
            raise QuotaExceeded(f"the quota is {info.quota_facts} facts")
        async with new_epoch(self._scripts, tenant, snapshot.n) as epoch:
            return await self._import(tenant, snapshot, epoch, request)

    async def _import(
        self, tenant: str, snapshot: Snapshot, epoch: str, request: ChangeRequest
    ) -> Change:
        state = FixedState.empty(self._layout.spec, self._params)
        stored = 0
        for batch in snapshot.batches():
            args, rows = await asyncio.to_thread(self._arguments, batch, epoch)
            await expect(self._scripts, "fill", tenant, *args)
            stored += sum(len(arg) for arg in args[6::7] if isinstance(arg, bytes))
            if snapshot.policy == "fixed":
                state = state.change(rows[:0], rows)
        fixed = state.pack(self._layout.spec, epoch) if snapshot.policy == "fixed" else b""
        return await self._swap(tenant, snapshot, epoch, stored, fixed, request)

    def _arguments(self, batch: list[Item], epoch: str) -> tuple[list[Arg], Rows]:
        """The arguments of lua/fill.lua, and the rows."""
        layout = self._layout
        args: list[Arg] = [epoch, layout.header, layout.row_size, K]
        rows = layout.empty(len(batch))
        for i, item in enumerate(batch):
            entry, fact = item.entry, item.fact
            rows[i] = pack(layout, fact, entry.id, entry.slot + 1)
            args += [entry.slot, layout.seal(rows[i], epoch, entry.slot)]
            args += [record_bytes(fact, entry.id, entry.cue, item.created_at), entry.id]
            args += [f"{entry.slot} {entry.kind} {entry.cue}", entry.cue, fact.expires_at or ""]
        return args, rows

    async def _swap(
        self,
        tenant: str,
        snapshot: Snapshot,
        epoch: str,
        stored: int,
        fixed: bytes,
        request: ChangeRequest,
    ) -> Change:
        expected = "" if request.expected_version is None else request.expected_version
        remember = REMEMBER_CLIENT if request.digest else REMEMBER_OWN
        args: list[Arg] = [epoch, self._layout.spec.fingerprint, expected]
        args += [request.id, request.digest, "[]", remember, K]
        args += [snapshot.n, stored + snapshot.n * self._layout.row_size, snapshot.policy]
        args += [snapshot.counts[kind] for kind in ("fact", "suppression", "chunk")]
        args.append(fixed)
        for document in snapshot.documents:
            args += [document.id, json.dumps(asdict(document))]
        _, version = await expect(self._scripts, "swap", tenant, *args)
        return Change(int(version), ())
