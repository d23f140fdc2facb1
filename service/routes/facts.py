"""The facts of one tenant as records: list, show, erase one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from memory_store.errors import FactNotFound
from memory_store.store import Record
from service.routes.common import IdempotencyKey, Reader, Running, Writer, change_request, protected
from service.routes.forget import erase
from service.schemas import ID_PATTERN, FactOut, FactsReply, ForgetReply, ForgetRequest

router = protected("facts", "/v1/tenants/{tenant}/facts")
FactPath = Annotated[str, Path(pattern=ID_PATTERN, description="The fact's id.")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,9}$", description="`next_cursor` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("")
async def list_facts(
    tenant: Reader, service: Running, cursor: Cursor = None, limit: Limit = 100
) -> FactsReply:
    """A page of facts, in the order of their places in memory."""
    with service.timed("records"):
        records, following = await service.store.records(tenant, cursor=cursor, limit=limit)
    return FactsReply(facts=[_fact(record) for record in records], next_cursor=following)


@router.get("/{id}")
async def get_fact(tenant: Reader, id: FactPath, service: Running) -> FactOut:
    """One fact."""
    return _fact(await service.store.record(tenant, id))


@router.delete("/{id}")
async def delete_fact(
    tenant: Writer, id: FactPath, service: Running, idempotency_key: IdempotencyKey = None
) -> ForgetReply:
    """Erase one fact; 404 if there is none."""
    request = change_request(ForgetRequest(ids=[id]), "forget", idempotency_key)
    reply = await erase(service, tenant, [id], [], request)
    if reply.results[0].status == "not_found":
        raise FactNotFound(id)
    return reply


def _fact(record: Record) -> FactOut:
    return FactOut(
        id=record.id,
        kind=record.kind,
        prompt=record.prompt,
        target=record.target,
        text=record.text,
        document_id=record.document_id,
        metadata=dict(record.metadata),
        created_at=record.created_at,
        expires_at=record.expires_at,
    )
