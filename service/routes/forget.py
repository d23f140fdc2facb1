"""Forget facts: erase them, with proof, or suppress what the base model knows of a cue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from memory_store.errors import FactNotFound, StoreError
from memory_store.store import Change, ChangeRequest, Fact, Record
from service.engine.protocol import SUPPRESSED, EngineError, FactText, FactTooLong
from service.errors import FactRefused
from service.resources import Service
from service.routes.common import (
    IdempotencyKey,
    Running,
    Writer,
    change_request,
    protected,
    within_quota,
)
from service.schemas import ForgetReply, ForgetRequest, ForgetResult, ReceiptOut

router = protected("memory", "/v1/tenants/{tenant}")
BATCH = 64  # records fetched, and cues read, at a time


@router.post("/forget")
async def forget(
    tenant: Writer,
    body: ForgetRequest,
    service: Running,
    idempotency_key: IdempotencyKey = None,
) -> ForgetReply:
    """Erase facts: nothing of them is left. Or suppress what the base model knows of a cue."""
    request = change_request(body, "forget", idempotency_key)
    if body.mode == "suppress":
        return await _suppress(service, tenant, body, request)
    return await erase(service, tenant, body.ids, body.prompts, request)


async def erase(
    service: Service,
    tenant: str,
    ids: Sequence[str],
    prompts: Sequence[str],
    request: ChangeRequest,
) -> ForgetReply:
    """Erase by id and by cue, ids first in the reply."""
    records = await records_of(service, tenant, ids)
    cues = [cue_of(records[id]) if id in records else None for id in ids] + list(prompts)
    before = await _confidences(service, tenant, cues)
    with service.timed("forget"):
        change = await service.store.forget(tenant, request, ids=ids, cues=prompts)
    await account_for(service, tenant, change, "erase")
    after = await _confidences_after(service, tenant, cues)
    results = [
        ForgetResult(
            id=row.id,
            status=cast(Literal["erased", "not_found"], row.status),
            # Of a change that is replayed nobody knows the state before.
            confidence_before=one if row.status == "erased" and not change.replayed else None,
            confidence_after=other if row.status == "erased" else None,
        )
        for row, one, other in zip(change.results, before, after, strict=True)
    ]
    receipt = receipt_of(service, tenant, [change])
    return ForgetReply(version=change.version, results=results, receipt=receipt)


async def account_for(
    service: Service, tenant: str, change: Change, action: Literal["erase", "document.erase"]
) -> None:
    """Counts and audits an erasure, unless nothing was erased or it is a replay."""
    erased = _erased(change)
    if erased and not change.replayed:
        service.metrics.facts_forgotten.inc(len(erased))
        await service.audit.note(action, tenant, erased, change.version - 1, change.version)


def receipt_of(service: Service, tenant: str, changes: Sequence[Change]) -> ReceiptOut | None:
    """Proof of what these changes erased, one after the other; None where nothing was erased or
    nothing can sign."""
    erased = [id for change in changes for id in _erased(change)]
    if not erased or service.signer is None:
        return None
    before, after = changes[0].version - 1, changes[-1].version
    receipt = service.signer.sign(tenant, erased, before, after)
    return ReceiptOut(payload=receipt.payload, signature=receipt.signature, key_id=receipt.key_id)


def _erased(change: Change) -> list[str]:
    return [row.id for row in change.results if row.status == "erased"]


async def _confidences(
    service: Service, tenant: str, cues: Sequence[str | None]
) -> list[float | None]:
    """How sure the gate is that each cue asks for a stored fact; None where it cannot be asked.

    A full queue or a long cue must not keep anyone from forgetting.
    """
    asked = [cue for cue in cues if cue]
    found: list[float | None] = []
    memory = await service.store.memory(tenant)
    for i in range(0, len(asked), BATCH):
        part = asked[i : i + BATCH]
        try:
            found += [r.confidence for r in await service.engine.read(memory, part)]
        except EngineError:
            found += [None] * len(part)
    answers = iter(found)
    return [next(answers) if cue else None for cue in cues]


async def _confidences_after(
    service: Service, tenant: str, cues: Sequence[str | None]
) -> list[float | None]:
    """As `_confidences`: what has been erased is erased, even if the store is now away."""
    try:
        return await _confidences(service, tenant, cues)
    except StoreError:
        return [None] * len(cues)


async def _suppress(
    service: Service, tenant: str, body: ForgetRequest, request: ChangeRequest
) -> ForgetReply:
    """Store each cue with the value "unknown"; an id stands for the cue of its fact."""
    done = await service.store.applied(tenant, request) if request.digest else None
    if done is not None:  # which ids there are now says nothing of what it did
        return _suppressed(body, done)
    records = await records_of(service, tenant, body.ids)
    named: list[tuple[str | None, str]] = [
        (id, cue_of(records[id])) for id in body.ids if id in records
    ]
    named += [(None, prompt) for prompt in body.prompts]
    if not named:
        return _suppressed(body, Change((await service.store.tenant(tenant)).version, ()))
    facts = await _suppressions(service, tenant, named)
    request = await within_quota(service, tenant, request)
    with service.timed("suppress"):
        change = await service.store.write(tenant, facts, request)
    if not change.replayed:
        ids = [row.id for row in change.results]
        await service.audit.note("suppress", tenant, ids, change.version - 1, change.version)
    return _suppressed(body, change)


def _suppressed(body: ForgetRequest, change: Change) -> ForgetReply:
    """The ids as they were sent, then the prompts: the change has no row for an id not found."""
    rows = [ForgetResult(id=row.id, status="suppressed") for row in change.results]
    known = {row.id for row in rows[: len(rows) - len(body.prompts)]}
    found = iter(rows)
    results = [
        next(found) if id in known else ForgetResult(id=id, status="not_found") for id in body.ids
    ]
    return ForgetReply(version=change.version, results=[*results, *found])


async def _suppressions(
    service: Service, tenant: str, named: Sequence[tuple[str | None, str]]
) -> list[Fact]:
    texts = [FactText(cue, SUPPRESSED) for _, cue in named]
    try:
        encoded = await service.engine.encode(texts, tenant)
    except FactTooLong as exc:
        raise FactRefused(str(exc), param="prompts") from None
    return [
        Fact(
            cue=code.cue,
            address=code.address,
            latent=code.latent,
            id=id,
            kind="suppression",
            prompt=cue,
            target=SUPPRESSED,
        )
        for (id, cue), code in zip(named, encoded, strict=True)
    ]


def cue_of(record: Record) -> str:
    """The text whose address a fact has."""
    return record.prompt or record.text or ""


async def records_of(service: Service, tenant: str, ids: Iterable[str]) -> dict[str, Record]:
    """The records of those ids that there are."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, Record] = {}
    for i in range(0, len(wanted), BATCH):
        part = wanted[i : i + BATCH]
        records = await asyncio.gather(*(_record(service, tenant, id) for id in part))
        found |= {record.id: record for record in records if record is not None}
    return found


async def _record(service: Service, tenant: str, id: str) -> Record | None:
    try:
        return await service.store.record(tenant, id)
    except FactNotFound:
        return None
