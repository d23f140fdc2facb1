"""`MemoryStore` on a Redis or Valkey, the only source of truth there is.

This is the face of the store: what a fact must be, what a listing shows. How a change is made is
in changes.py, how a view is kept current in cache.py, how tenants come and go in tenants.py.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from memory_store.cache import ViewCache
from memory_store.changes import Changes, Wanted, check_quota
from memory_store.cue import digest
from memory_store.documents import Documents
from memory_store.errors import (
    CheckpointMismatch,
    FactNotFound,
    StoreUnavailable,
    TenantNotFound,
)
from memory_store.paged import PagedView
from memory_store.pages import K, Layout
from memory_store.plan import Plan, cue_key
from memory_store.reencode import Reencoder
from memory_store.rows import check, identity, parse_record
from memory_store.scripts import Client, Scripts, translated
from memory_store.store import (
    CacheStats,
    Change,
    ChangeRequest,
    Document,
    Encode,
    Fact,
    MemorySpec,
    Policy,
    ReadParams,
    Record,
    Reencoded,
    RowResult,
    TenantInfo,
)
from memory_store.tenants import Tenants
from memory_store.transfer import Transfer
from memory_store.view import View

MAX_FACTS: Final = 1000  # of one change
MAX_RECORDS: Final = 500  # of one listing
SCAN: Final = 5000  # slots looked at by one step of a listing


def connect(url: str, *, timeout: float = 5.0, connections: int = 64) -> Redis:
    """A client with time-outs and a bounded pool. `url`: redis://, rediss:// or unix://."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.5), 3),
    )
    return Redis.from_pool(pool)


class RedisStore:
    """The memories of all tenants under one checkpoint. `close` closes the client.

    `cache_bytes` bounds the views held; `max_stale_seconds` is how long they answer while Redis
    is away; `replicas` is how many must have synced a change before it counts.
    """

    def __init__(
        self,
        client: Client,
        spec: MemorySpec,
        params: ReadParams | None = None,
        *,
        cache_bytes: int = 4 << 30,
        max_stale_seconds: float = 60.0,
        replicas: int = 0,
        default_quota: int = 1_000_000,
    ) -> None:
        layout, scripts = Layout(spec), Scripts(client, replicas)
        self._client, self._spec, self._scripts = client, spec, scripts
        self._tenants = Tenants(client, scripts, spec, default_quota)
        params = params or ReadParams()
        self._cache = ViewCache(client, scripts, layout, params, cache_bytes, max_stale_seconds)
        self._changes = Changes(scripts, layout, self._cache)
        self._documents = Documents(self._changes, scripts, spec)
        self._reencoder = Reencoder(client, scripts, layout, params)
        self._transfer = Transfer(
            scripts, layout, params, self._cache, self._changes, self._documents
        )

    @property
    def cache_stats(self) -> CacheStats:
        return self._cache.stats

    async def create_tenant(
        self, tenant: str, *, policy: Policy | None = None, quota_facts: int | None = None
    ) -> tuple[TenantInfo, bool]:
        """Create or update; True if it was new. Raises PolicyFixed, CheckpointMismatch."""
        return await self._tenants.create(tenant, policy, quota_facts)

    async def tenant(self, tenant: str) -> TenantInfo:
        """Raises TenantNotFound. Another checkpoint's tenant can be looked at too."""
        return await self._tenants.info(tenant)

    async def tenants(self) -> list[str]:
        """Names, sorted."""
        return await self._tenants.names()

    async def delete_tenant(self, tenant: str) -> None:
        """Erase everything of the tenant. Raises TenantNotFound, CheckpointMismatch."""
        self._cache.drop(tenant)
        await self._tenants.delete(tenant)

    async def write(self, tenant: str, facts: Sequence[Fact], request: ChangeRequest) -> Change:
        """Write 1 to 1,000 facts as if one by one: of duplicates the last stays, and the earlier
        report what they were when they were written.

        Raises InvalidFact, QuotaExceeded, VersionConflict, IdempotencyKeyReused, StoreFull,
        OutcomeUnknown, TenantNotFound, CheckpointMismatch, StoreUnavailable.
        """
        _check_count(len(facts))
        for i, fact in enumerate(facts):
            check(fact, i, self._spec)

        def apply(plan: Plan, info: TenantInfo) -> list[RowResult]:
            results = [plan.write(fact) for fact in facts]
            check_quota(plan, info)
            return results

        cues = [key for key in map(cue_key, facts) if key]
        wanted = Wanted([identity(fact) for fact in facts], cues, free=len(facts))
        return await self._changes.run("write", tenant, request, wanted, apply)

    async def forget(
        self,
        tenant: str,
        request: ChangeRequest,
        *,
        ids: Sequence[str] = (),
        cues: Sequence[str] = (),
    ) -> Change:
        """Erase 1 to 1,000 facts by id and by cue: their rows become zeros. Results in that
        order; a cue that is not stored reports the id it would have had. Raises as `write`."""

        def apply(plan: Plan, info: TenantInfo) -> list[RowResult]:
            return [plan.forget(id=id) for id in ids] + [plan.forget(cue=cue) for cue in cues]

        _check_count(len(ids) + len(cues))
        wanted = Wanted(ids, [digest(cue) for cue in cues])
        return await self._changes.run("erase", tenant, request, wanted, apply)

    async def applied(self, tenant: str, request: ChangeRequest) -> Change | None:
        """The outcome of a change that was applied before; None if it was not. Raises
        IdempotencyKeyReused, TenantNotFound, CheckpointMismatch, StoreUnavailable."""
        return (await self._changes.look(tenant, request))[1]

    async def sweep(self, tenant: str) -> AsyncIterator[Change]:
        """Erase what has expired, through the erase script, at most 1,000 facts a change; then let
        go of outcomes that were kept for their time."""

        def apply(plan: Plan, info: TenantInfo) -> list[RowResult]:
            return [plan.forget(id=id) for id in list(plan.by_id)]

        while True:
            request = ChangeRequest(secrets.token_hex(16))
            wanted = Wanted(expired=MAX_FACTS)
            change = await self._changes.run("erase", tenant, request, wanted, apply)
            if not change.results:
                break
            yield change
        while await self._scripts.run("tidy", tenant, MAX_FACTS) == [MAX_FACTS]:
            pass

    async def write_chunks(
        self, tenant: str, document: Document, facts: Sequence[Fact], request: ChangeRequest
    ) -> tuple[Document, Change]:
        """Write the 1 to 1,000 chunks that follow `document.chunks_done`; the document after.

        Ids are given here (`chunk_id`). Raises DocumentConflict if another text is stored under
        this id or another sender got further, and as `write`.
        """
        _check_count(len(facts))
        return await self._documents.write(tenant, document, facts, request)

    async def document(self, tenant: str, id: str) -> Document:
        """Raises DocumentNotFound."""
        return await self._documents.get(tenant, id)

    async def documents(self, tenant: str) -> list[Document]:
        """By id."""
        return await self._documents.all(tenant)

    def forget_document(
        self, tenant: str, id: str, request: ChangeRequest
    ) -> AsyncIterator[Change]:
        """Erase all chunks, from the last on, at most 1,000 a change: cut short, what is left is
        a partial document, and the same request goes on and gives all its changes. Raises, at the
        first change, DocumentNotFound, and as `forget`."""
        return self._documents.forget(tenant, id, request)

    async def memory(self, tenant: str) -> View | PagedView:
        """The current view: one round trip when the cache is current. While Redis is away, the
        last one, `stale`. A tenant larger than the cache is read page by page, which must not
        happen on the event loop's thread. Raises TenantNotFound, CheckpointMismatch, PageCorrupt,
        StoreUnavailable."""
        return await self._cache.view(tenant)

    async def view(self, tenant: str) -> View:
        """As `memory`, but whole, however large: rows and latents can be looked at."""
        return await self._cache.whole(tenant)

    def reencode(self, tenant: str, encode: Encode) -> AsyncGenerator[Reencoded, None]:
        """Bring a tenant of another checkpoint under this one's, from its stored texts, while it
        is read and written. Cut short, it is as it was. Raises as memory_store/reencode.py."""
        return self._reencoder.run(tenant, encode)

    def export_snapshot(self, tenant: str) -> AsyncIterator[bytes]:
        """The tenant as one file (snapshot.py), all of one version, piece by piece.

        Raises as `memory`, at the first piece.
        """
        return self._transfer.export(tenant)

    async def import_snapshot(self, tenant: str, path: Path, request: ChangeRequest) -> Change:
        """Replace everything the tenant holds by a file, whole or not at all.

        Raises SnapshotInvalid, CheckpointMismatch, QuotaExceeded and as `write`.
        """
        return await self._transfer.replace(tenant, path, request)

    async def record(self, tenant: str, id: str) -> Record:
        """Raises FactNotFound, for an expired fact too."""
        reply = await self._scripts.run("record", tenant, id, K)
        self._check_tenant(reply, tenant)
        if len(reply) < 2:
            raise FactNotFound(id)
        record = parse_record(reply[1])
        if _expired(record, time.time()):
            raise FactNotFound(id)
        return record

    async def records(
        self, tenant: str, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Record], str | None]:
        """At most `limit` (1 to 500) records and the cursor of the next page, None at the end.

        Raises ValueError for a cursor that no listing gave.
        """
        if not 1 <= limit <= MAX_RECORDS:
            raise ValueError(f"limit is 1 to {MAX_RECORDS}")
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise ValueError("not a cursor")
        found: list[Record] = []
        slot: int | None = int(cursor or 0)
        while slot is not None and len(found) < limit:
            wanted = limit - len(found)
            reply = await self._scripts.run("records", tenant, slot, wanted, SCAN, K)
            self._check_tenant(reply, tenant)
            now = time.time()
            parsed = [parse_record(data) for data in reply[2]]
            found += [record for record in parsed if not _expired(record, now)]
            slot = reply[1]
        return found, None if slot is None else str(slot)

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            with translated():
                return bool(await self._client.ping())
        except StoreUnavailable:
            return False

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._client.aclose()

    def _check_tenant(self, reply: list[Any], tenant: str) -> None:
        if not reply:
            raise TenantNotFound(tenant)
        if reply[0].decode() != self._spec.fingerprint:
            raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")


def _check_count(n: int) -> None:
    if not 0 < n <= MAX_FACTS:
        raise ValueError(f"a change has 1 to {MAX_FACTS} facts")


def _expired(record: Record, now: float) -> bool:
    return record.expires_at is not None and record.expires_at <= now
