"""What the service asks of a memory, as data and one protocol.

A tenant's memory is a set of rows (address, latent); a `TenantMemory` is an immutable view of
it at one version. `RedisStore` (redis_store.py) is the one implementation: a real Valkey or
Redis, embedded or external. Vectors cross this border as float32 NumPy arrays.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Kind = Literal["fact", "suppression", "chunk"]
Policy = Literal["grow", "fixed"]


@dataclass(frozen=True, slots=True)
class MemorySpec:
    """What every row of a store looks like; derived from the checkpoint."""

    address_dim: int  # d
    latent_dim: int  # C
    fingerprint: str  # of the checkpoint that made addresses and latents


@dataclass(frozen=True, slots=True)
class ReadParams:
    """Constants of the least-squares address (design, section 3)."""

    beta: float = 10.0  # kernel κ(x, y) = exp(β(x·y - 1))
    ridge: float = 1e-3  # λ
    candidates: int = 64  # m, rows of the level-1 solve
    floor: float = 0.4  # best cosine below this: nothing is read
    tie: float = 0.02  # rows answer equally if their distance 1 - cos exceeds the best's by at
    tie_floor: float = 2.5e-4  # most tie · distance + tie_floor: the newest takes all the weight


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact to write. `cue` is the text that was encoded as the address."""

    cue: str
    address: Float32  # (d,), unit length
    latent: Float32  # (C,)
    id: str | None = None  # None: a hash of the folded cue
    kind: Kind = "fact"
    prompt: str | None = None
    target: str | None = None
    text: str | None = None
    document_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires_at: float | None = None  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Record:
    """A stored fact without its vectors, as listings show it."""

    id: str
    kind: Kind
    prompt: str | None
    target: str | None
    text: str | None
    document_id: str | None
    metadata: Mapping[str, Any]
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class RowResult:
    id: str
    status: Literal["written", "replaced", "erased", "not_found"]
    replaced_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome of one write or forget: whole or absent."""

    version: int
    results: tuple[RowResult, ...]
    replayed: bool = False  # the same change id had been applied before


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Identity of a change, and what must hold for it. `id` makes a resend do nothing; `digest`
    guards its reuse."""

    id: str
    digest: str = ""
    expected_version: int | None = None
    quota_bytes: int | None = None  # the tenant must not grow beyond; None is no limit


@dataclass(frozen=True, slots=True)
class Document:
    """A long text, written as chunks in batches; `chunks_done` of them are there."""

    id: str
    digest: str  # of its text, so that another text under the same id is noticed
    chunks: int
    chunks_done: int
    created_at: float

    @property
    def status(self) -> Literal["partial", "complete"]:
        return "complete" if self.chunks_done == self.chunks else "partial"


@dataclass(slots=True)
class CacheStats:
    """What the cache of views has done since the start, and what it holds."""

    hits: int = 0  # views that were current
    replays: int = 0  # views that were behind, and followed the log
    loads: int = 0  # views that had to be fetched whole
    evictions: int = 0  # views that left for want of room
    tenants: int = 0
    bytes: int = 0
    room: int = 0  # bytes that it may hold


@dataclass(frozen=True, slots=True)
class TenantInfo:
    name: str
    policy: Policy
    epoch: str
    version: int
    change: str
    fingerprint: str
    facts: int
    suppressions: int
    chunks: int
    bytes: int
    quota_facts: int
    created_at: float

    @property
    def rows(self) -> int:
        return self.facts + self.suppressions + self.chunks


@dataclass(frozen=True, slots=True)
class Reencoded:
    """How far a re-encoding has come. "current": there was nothing to do."""

    status: Literal["running", "reencoded", "current"]
    done: int  # rows
    rows: int
    before: TenantInfo
    after: TenantInfo  # as it is now


@dataclass(frozen=True, slots=True)
class Readout:
    """What Q queries read from one tenant. Row order of `ids`, `weights`, `cosines`: best first."""

    latent: Float32  # (Q, C): z_r = w M, zeros where nothing was read
    clean: Float32  # (Q, C): the latent of the row that takes most weight; z_r under `fixed`
    variance: Float32  # (Q,): posterior variance in [0, 1]; 1 where nothing was read
    ids: tuple[tuple[str, ...], ...]  # Q x up to m ids, by weight
    weights: tuple[Float32, ...]
    cosines: tuple[Float32, ...]  # address cosine of those rows
    suppressed: tuple[bool, ...]  # the row that takes most weight is a suppression


# Address (d,) and latent (C,) of each record, under the store's checkpoint.
Encode = Callable[[Sequence[Record]], Awaitable[Sequence[tuple[Float32, Float32]]]]


class TenantMemory(Protocol):
    """An immutable view of one tenant at one version; safe to share between threads."""

    @property
    def info(self) -> TenantInfo: ...
    @property
    def stale(self) -> bool: ...
    def read(self, queries: Float32) -> Readout:
        """Least-squares read of queries (Q, d)."""
        ...


class MemoryStore(Protocol):
    """Persistence of all tenants. Raises the errors of memory_store/errors.py."""

    @property
    def cache_stats(self) -> CacheStats: ...
    async def create_tenant(
        self, tenant: str, *, policy: Policy | None = None, quota_facts: int | None = None
    ) -> tuple[TenantInfo, bool]:
        """Create or update; True if it was new. Policy is fixed after the first write."""
        ...

    async def tenant(self, tenant: str) -> TenantInfo: ...
    async def tenants(self) -> list[str]: ...
    async def delete_tenant(self, tenant: str) -> None:
        """Erase everything of the tenant."""
        ...

    async def write(self, tenant: str, facts: Sequence[Fact], request: ChangeRequest) -> Change: ...

    async def forget(
        self,
        tenant: str,
        request: ChangeRequest,
        *,
        ids: Sequence[str] = (),
        cues: Sequence[str] = (),
    ) -> Change:
        """Erase by id and by cue; results in that order, `not_found` where there was none."""
        ...

    async def applied(self, tenant: str, request: ChangeRequest) -> Change | None:
        """The outcome of a change that was applied before; None if it was not."""
        ...

    async def memory(self, tenant: str) -> TenantMemory:
        """The current view: one round trip when the cache is current."""
        ...

    async def record(self, tenant: str, id: str) -> Record: ...
    async def records(
        self, tenant: str, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Record], str | None]: ...
    async def write_chunks(
        self, tenant: str, document: Document, facts: Sequence[Fact], request: ChangeRequest
    ) -> tuple[Document, Change]:
        """Write the chunks that follow `document.chunks_done`, whose ids are `chunk_id`'s."""
        ...

    async def document(self, tenant: str, id: str) -> Document: ...
    async def documents(self, tenant: str) -> list[Document]: ...
    def forget_document(
        self, tenant: str, id: str, request: ChangeRequest
    ) -> AsyncIterator[Change]:
        """Erase a document, in one change or several."""
        ...

    def export_snapshot(self, tenant: str) -> AsyncIterator[bytes]: ...
    async def import_snapshot(self, tenant: str, path: Path, request: ChangeRequest) -> Change: ...
    def reencode(self, tenant: str, encode: Encode) -> AsyncGenerator[Reencoded, None]:
        """Bring a tenant of another checkpoint under this store's, from its stored texts."""
        ...

    def sweep(self, tenant: str) -> AsyncIterator[Change]:
        """Erase what has expired, through the erase script, and forget outcomes of old changes."""
        ...

    async def ping(self) -> bool: ...
    async def close(self) -> None: ...
