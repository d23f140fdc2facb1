"""One change of a tenant: planned, carried out by one script, or found done already.

A change is planned against what is stored under its ids and cues. The script applies it if the
tenant's version has not moved since; if it has, the change is planned again. Every change has an
id that is remembered with its outcome, so that a resend, by a client or by a client library, does
nothing and answers the same.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final, Literal, cast

import numpy as np

from memory_store.cache import ViewCache
from memory_store.errors import (
    CheckpointMismatch,
    IdempotencyKeyReused,
    QuotaExceeded,
    TenantNotFound,
    VersionConflict,
)
from memory_store.pages import K, Layout
from memory_store.plan import Entry, Plan
from memory_store.rows import pack, record_bytes
from memory_store.scripts import Arg, Scripts, parse_meta
from memory_store.store import Change, ChangeRequest, Document, Kind, RowResult, TenantInfo

KINDS: Final[tuple[Kind, ...]] = ("fact", "suppression", "chunk")
LOG: Final = 512  # changes that a cache can be behind and still catch up
REMEMBER_CLIENT: Final = 24 * 3600  # seconds that a client's change id is kept
REMEMBER_OWN: Final = 600  # seconds that one drawn by the server is kept
ATTEMPTS: Final = 100

Apply = Callable[[Plan, TenantInfo], list[RowResult]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a change looks up before it is planned."""

    ids: Sequence[str] = ()
    cues: Sequence[str] = ()  # digests
    free: int = 0  # slots
    expired: int = 0  # ids that have expired
    document: str = ""


class Changes:
    """Applies changes; those of one tenant one after the other, within this process."""

    def __init__(self, scripts: Scripts, layout: Layout, cache: ViewCache) -> None:
        self._scripts, self._layout, self._cache = scripts, layout, cache
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(
        self,
        script: Literal["write", "erase"],
        tenant: str,
        request: ChangeRequest,
        wanted: Wanted,
        apply: Apply,
    ) -> Change:
        """Raises VersionConflict, IdempotencyKeyReused, StoreFull, OutcomeUnknown,
        TenantNotFound, CheckpointMismatch, StoreUnavailable, and what `apply` raises."""
        counts = (wanted.free, len(wanted.ids), len(wanted.cues), wanted.expired, wanted.document)
        async with self._locks.setdefault(tenant, asyncio.Lock()):
            for attempt in range(ATTEMPTS):
                reply = await self._scripts.run(
                    "plan", tenant, request.id, *counts, K, *wanted.ids, *wanted.cues
                )
                change = await self._attempt(script, tenant, reply, request, apply)
                if change is not None:
                    return change
                await asyncio.sleep(random.random() * min(0.001 * 2**attempt, 0.05))
        raise VersionConflict(f"tenant {tenant}: other writers kept getting in between")

    async def look(self, tenant: str, request: ChangeRequest) -> tuple[TenantInfo, Change | None]:
        """The tenant as it is, and the change's outcome if it was applied before."""
        reply = await self._scripts.run("plan", tenant, request.id, 0, 0, 0, 0, "")
        return await self._recognise(tenant, reply, request)

    async def _recognise(
        self, tenant: str, reply: list[Any], request: ChangeRequest
    ) -> tuple[TenantInfo, Change | None]:
        if not reply:
            raise TenantNotFound(tenant)
        info, _ = parse_meta(tenant, reply[0])
        if info.fingerprint != self._layout.spec.fingerprint:
            raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")
        if reply[1] is None:
            return info, None
        await self._scripts.confirm(tenant, request.id)
        return info, replay(reply[1], request)

    async def _attempt(
        self,
        script: Literal["write", "erase"],
        tenant: str,
        reply: list[Any],
        request: ChangeRequest,
        apply: Apply,
    ) -> Change | None:
        """Plan and apply; None if another writer was faster."""
        info, done = await self._recognise(tenant, reply, request)
        if done is not None:
            return done
        if request.expected_version not in (None, info.version):
            raise VersionConflict(f"tenant {tenant} is at version {info.version}")
        plan = _plan(reply)
        results = apply(plan, info)
        if not plan.touched and not request.digest:
            return Change(info.version, tuple(results))
        arguments = await self._arguments(plan, info, request, results)
        if arguments is None:
            return None
        status, *rest = await self._scripts.run(script, tenant, *arguments)
        if status == b"replayed":
            return replay(rest[0], request)
        return Change(int(rest[0]), tuple(results)) if status == b"applied" else None

    async def _arguments(
        self, plan: Plan, info: TenantInfo, request: ChangeRequest, results: Sequence[RowResult]
    ) -> list[Arg] | None:
        """The arguments of lua/change.lua, in its order; None if the plan is outdated."""
        layout = self._layout
        rows = {
            slot: pack(layout, put.fact, put.entry.id, put.stamp) for slot, put in plan.puts.items()
        }
        now = time.time()
        records = {
            slot: record_bytes(put.fact, put.entry.id, put.entry.cue, now)
            for slot, put in plan.puts.items()
        }
        _check_bytes(plan, info, request, records, layout.row_size)
        state = await self._state(plan, info, rows)
        if state is None:
            return None
        outcome = json.dumps([astuple(result) for result in results], separators=(",", ":"))
        remember = REMEMBER_CLIENT if request.digest else REMEMBER_OWN
        args: list[Arg] = [info.epoch, info.version, request.id, request.digest, outcome, remember]
        args += [info.fingerprint, plan.slots, plan.stamp, *(plan.count(kind) for kind in KINDS)]
        args += [layout.header, layout.row_size, K, LOG, *document_arguments(plan), state]
        args.append(len(plan.removed))
        for entry in plan.removed:
            args += [entry.id, entry.slot, entry.cue]
        args += [len(plan.freed), *plan.freed, len(plan.puts)]
        for slot, put in plan.puts.items():
            entry, fact = put.entry, put.fact
            args += [slot, layout.seal(rows[slot], info.epoch, slot), records[slot], entry.id]
            args += [f"{slot} {entry.kind} {entry.cue}", entry.cue, fact.expires_at or ""]
        return args

    async def _state(
        self, plan: Plan, info: TenantInfo, rows: Mapping[int, np.void]
    ) -> bytes | None:
        """Policy `fixed` after the change, as it is stored; empty under `grow` and where nothing
        changes. None if the tenant moved since it was planned for."""
        if info.policy == "grow" or not plan.touched:
            return b""
        view = await self._cache.whole(info.name)
        if (view.info.epoch, view.info.version) != (info.epoch, info.version) or view.stale:
            return None
        empty = self._layout.empty(1)[0]
        after = view.with_rows({slot: empty for slot in plan.freed} | dict(rows))
        return after.fixed.pack(self._layout.spec, info.epoch) if after.fixed else b""


def _plan(reply: list[Any]) -> Plan:
    _, meta = parse_meta("", reply[0])
    free = [int(slot) for slot in reply[3]]
    slots, stamp, document = int(meta["slots"]), int(meta["stamp"]), parse_document(reply[4])
    return Plan.of(_entries(reply[2]), free, slots, stamp, document)


def _entries(flat: list[bytes]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for raw_id, raw, size in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        id, (slot, kind, cue) = raw_id.decode(), raw.decode().split(" ")
        entries[id] = Entry(id, int(slot), cast(Kind, kind), cue, int(size))
    return entries


def check_quota(plan: Plan, info: TenantInfo) -> None:
    """Raises QuotaExceeded where the change makes the tenant grow beyond its quota."""
    growth = sum(plan.count(kind) for kind in KINDS)
    if growth > 0 and info.rows + growth > info.quota_facts:
        raise QuotaExceeded(f"the quota is {info.quota_facts} facts")


def _check_bytes(
    plan: Plan,
    info: TenantInfo,
    request: ChangeRequest,
    records: Mapping[int, bytes],
    row_size: int,
) -> None:
    """As `check_quota`, of bytes: `records` are those of the plan's puts."""
    growth = sum(len(record) for record in records.values())
    growth -= sum(entry.bytes for entry in plan.removed)
    growth += (len(records) - len(plan.removed)) * row_size
    most = request.quota_bytes
    if most is not None and growth > 0 and info.bytes + growth > most:
        raise QuotaExceeded(f"the quota is {most} bytes")


def parse_document(data: bytes | None) -> Document | None:
    return None if data is None else Document(**json.loads(data))


def document_arguments(plan: Plan) -> tuple[str, str]:
    after = plan.document
    if after is None:
        return "", ""
    return after.id, json.dumps(asdict(after)) if after.chunks_done else "-"


def replay(stored: bytes, request: ChangeRequest) -> Change:
    """The outcome of a change that was applied before. Raises IdempotencyKeyReused."""
    body, version, outcome = stored.decode().split(" ", 2)
    if body != request.digest:
        raise IdempotencyKeyReused(f"{request.id} was used for another change")
    results = tuple(RowResult(*fields) for fields in json.loads(outcome))
    return Change(int(version), results, replayed=True)
