"""Documents: a long text becomes many facts that come in batches and go as one.

A document that was cut off, by the client or by a failure, goes on where it stopped when the
same text is sent again under the same id.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, Path, Request
from starlette.responses import StreamingResponse

from memory_store.errors import DocumentConflict, DocumentNotFound
from memory_store.store import Change, ChangeRequest, Document, Fact
from service.engine.protocol import Engine, FactText
from service.resources import Service
from service.routes.common import (
    IdempotencyKey,
    Model,
    Reader,
    Running,
    Writer,
    change_request,
    encode_patiently,
    protected,
    within_quota,
)
from service.routes.forget import account_for, receipt_of
from service.schemas import (
    ID_PATTERN,
    DocumentErased,
    DocumentOut,
    DocumentReply,
    DocumentRequest,
    DocumentsReply,
    ForgetRequest,
)
from service.splitting import split
from service.sse import STREAM, event_stream, last_of, progress_of
from service.waiting import answer

router = protected("documents", "/v1/tenants/{tenant}/documents")
DocumentPath = Annotated[str, Path(pattern=ID_PATTERN, description="The document's id.")]
BATCH = 64  # chunks a change: a stream's progress moves, and a generation gets in between


@router.post("", response_model=DocumentReply, responses=STREAM)
async def post_document(
    tenant: Writer,
    body: DocumentRequest,
    request: Request,
    service: Running,
    model: Model,
    accept: Annotated[str, Header(description="`text/event-stream` for progress.")] = "",
) -> DocumentReply | StreamingResponse:
    """Store a long text. As server-sent events: `progress`, then `done`, or `error`."""
    work = Ingestion(service, model, tenant, body).run()
    if "text/event-stream" in accept:
        return await event_stream(request, progress_of(work))
    return await answer(request, last_of(work))


@router.get("")
async def list_documents(tenant: Reader, service: Running) -> DocumentsReply:
    """All documents of the tenant."""
    found = await service.store.documents(tenant)
    return DocumentsReply(documents=[_shown(document) for document in found])


@router.get("/{id}")
async def get_document(tenant: Reader, id: DocumentPath, service: Running) -> DocumentOut:
    """How far a document has come."""
    return _shown(await service.store.document(tenant, id))


@router.delete("/{id}")
async def delete_document(
    tenant: Writer, id: DocumentPath, service: Running, idempotency_key: IdempotencyKey = None
) -> DocumentErased:
    """Erase a document: all its chunks."""
    request = change_request(ForgetRequest(ids=[id]), "erase document", idempotency_key)
    changes: list[Change] = []
    with service.timed("forget"):
        async for change in service.store.forget_document(tenant, id, request):
            await account_for(service, tenant, change, "document.erase")
            changes.append(change)
    return DocumentErased(
        id=id,
        status="erased",
        chunks=sum(len(change.results) for change in changes),
        version=changes[-1].version,
        receipt=receipt_of(service, tenant, changes),
    )


@dataclass(frozen=True)
class Ingestion:
    """One call's work on one document."""

    service: Service
    model: Engine
    tenant: str
    body: DocumentRequest

    async def run(self) -> AsyncGenerator[DocumentReply, None]:
        """The state at the start and after every batch. Raises DocumentConflict."""
        store = self.service.store
        version = (await store.tenant(self.tenant)).version
        chunks = await split(self.body.text, self.model)
        document = await self._document(chunks)
        yield _reply(document, version)
        while document.chunks_done < document.chunks:
            part = chunks[document.chunks_done : document.chunks_done + BATCH]
            facts = await self._encode(part)
            request = ChangeRequest(id=f"s:{uuid.uuid4().hex}")
            request = await within_quota(self.service, self.tenant, request)
            with self.service.timed("write"):
                document, change = await store.write_chunks(self.tenant, document, facts, request)
            self.service.metrics.facts_written.inc(len(facts))
            ids = [row.id for row in change.results]
            await self.service.audit.note(
                "document.write", self.tenant, ids, change.version - 1, change.version
            )
            yield _reply(document, change.version)

    async def _document(self, chunks: Sequence[str]) -> Document:
        """What is stored under the id already, or a new document."""
        digest = hashlib.sha256(self.body.text.encode()).hexdigest()
        id = self.body.id or f"d-{digest[:32]}"
        try:
            stored = await self.service.store.document(self.tenant, id)
        except DocumentNotFound:
            return Document(id, digest, len(chunks), 0, time.time())
        if (stored.digest, stored.chunks) != (digest, len(chunks)):
            raise DocumentConflict(id)
        return stored

    async def _encode(self, chunks: Sequence[str]) -> list[Fact]:
        texts = [FactText(text=chunk) for chunk in chunks]
        encoded = await encode_patiently(self.model, texts, self.tenant)
        return [
            Fact(cue=code.cue, address=code.address, latent=code.latent, text=chunk)
            for chunk, code in zip(chunks, encoded, strict=True)
        ]


def _reply(document: Document, version: int) -> DocumentReply:
    return DocumentReply(
        id=document.id,
        status=document.status,
        chunks=document.chunks,
        chunks_done=document.chunks_done,
        version=version,
    )


def _shown(document: Document) -> DocumentOut:
    return DocumentOut(
        id=document.id,
        status=document.status,
        chunks=document.chunks,
        chunks_done=document.chunks_done,
        created_at=document.created_at,
    )
