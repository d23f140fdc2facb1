"""Documents: long texts whose chunks come in batches, resume where they stopped, go as one.

A document's entry moves in the same script as its chunks, so `chunks_done` is always true. A
chunk's id follows from the document's id and its number: erasing needs no list of them, and
erasing from the end leaves a shorter document that is as resumable as any.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from memory_store.changes import Changes, Wanted, check_quota, parse_document
from memory_store.errors import (
    CheckpointMismatch,
    DocumentConflict,
    DocumentNotFound,
    TenantNotFound,
)
from memory_store.plan import Plan
from memory_store.rows import check
from memory_store.scripts import Scripts
from memory_store.store import (
    Change,
    ChangeRequest,
    Document,
    Fact,
    MemorySpec,
    RowResult,
    TenantInfo,
)

BATCH: Final = 1000


def chunk_id(document: str, number: int) -> str:
    """The fact id of a document's chunk."""
    mark = hashlib.blake2b(document.encode(), digest_size=12).hexdigest()
    return f"c-{mark}:{number}"


def _part(request: ChangeRequest, first: int) -> ChangeRequest:
    """The change that erases the chunks from `first` on; the one that ends it has its id. In front
    stands what no client's key begins with."""
    return replace(request, id=f"from-{first}:{request.id}") if first else request


class Documents:
    """The documents of a store's tenants."""

    def __init__(self, changes: Changes, scripts: Scripts, spec: MemorySpec) -> None:
        self._changes, self._scripts, self._spec = changes, scripts, spec

    async def write(
        self, tenant: str, document: Document, facts: Sequence[Fact], request: ChangeRequest
    ) -> tuple[Document, Change]:
        first = document.chunks_done
        chunks = [
            replace(
                fact, id=chunk_id(document.id, first + i), kind="chunk", document_id=document.id
            )
            for i, fact in enumerate(facts)
        ]
        for i, chunk in enumerate(chunks):
            check(chunk, i, self._spec)
        after = replace(document, chunks_done=first + len(chunks))
        if after.chunks_done > document.chunks:
            raise ValueError(f"document {document.id} has {document.chunks} chunks")

        def apply(plan: Plan, info: TenantInfo) -> list[RowResult]:
            stored = plan.stored_document
            if stored and (stored.digest, stored.chunks) != (document.digest, document.chunks):
                raise DocumentConflict(f"another text is stored as document {document.id}")
            if (stored.chunks_done if stored else 0) != first:
                raise DocumentConflict(f"document {document.id} stands at another chunk")
            plan.document = after
            results = [plan.write(chunk) for chunk in chunks]
            check_quota(plan, info)
            return results

        ids = [chunk.id for chunk in chunks if chunk.id]
        wanted = Wanted(ids, free=len(chunks), document=document.id)
        return after, await self._changes.run("write", tenant, request, wanted, apply)

    async def get(self, tenant: str, id: str) -> Document:
        reply = await self._scripts.run("plan", tenant, "", 0, 0, 0, 0, id)
        if not reply:
            raise TenantNotFound(tenant)
        document = parse_document(reply[4])
        if document is None:
            raise DocumentNotFound(id)
        return document

    async def all(self, tenant: str) -> list[Document]:
        reply = await self._scripts.run("documents", tenant)
        if not reply:
            raise TenantNotFound(tenant)
        if reply[0].decode() != self._spec.fingerprint:
            raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")
        found = [document for data in reply[1] if (document := parse_document(data))]
        return sorted(found, key=lambda document: document.id)

    async def forget(self, tenant: str, id: str, request: ChangeRequest) -> AsyncIterator[Change]:
        """Changes from the last chunk on; of a resend, what it finds done already comes first."""
        _, last = await self._changes.look(tenant, request)
        left = 0 if last else (await self.get(tenant, id)).chunks_done
        for part in await self._done(tenant, request, left):
            yield part
        if last:
            yield last
        while left:
            first = (left - 1) // BATCH * BATCH
            yield await self._erase(tenant, id, range(first, left), _part(request, first))
            request = replace(request, expected_version=None)
            left = first

    async def _done(self, tenant: str, request: ChangeRequest, left: int) -> list[Change]:
        """The parts of a request that went before the last `left` chunks, in their order."""
        parts: list[Change] = []
        first = max(-(-left // BATCH), 1) * BATCH
        while request.digest:
            _, part = await self._changes.look(tenant, _part(request, first))
            if part is None:
                break
            parts.insert(0, part)
            first += BATCH
        return parts

    async def _erase(self, tenant: str, id: str, numbers: range, request: ChangeRequest) -> Change:
        ids = [chunk_id(id, number) for number in numbers]

        def apply(plan: Plan, info: TenantInfo) -> list[RowResult]:
            stored = plan.stored_document
            if stored is None:
                raise DocumentNotFound(id)
            if stored.chunks_done != numbers.stop:
                raise DocumentConflict(f"document {id} stands at another chunk")
            plan.document = replace(stored, chunks_done=numbers.start)
            return [plan.forget(id=chunk) for chunk in ids]

        return await self._changes.run("erase", tenant, request, Wanted(ids, document=id), apply)
