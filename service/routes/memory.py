"""Write and read facts of one tenant."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, cast

from memory_store.store import Change, Fact
from service.engine.protocol import Engine, FactText, FactTooLong, PromptTooLong
from service.errors import FactRefused, PromptRefused
from service.restated import with_ids
from service.routes.common import (
    IdempotencyKey,
    Model,
    Reader,
    Running,
    Writer,
    change_request,
    current_memory,
    protected,
    within_quota,
)
from service.routes.forget import records_of
from service.schemas import (
    FactIn,
    MatchOut,
    ReadReply,
    ReadRequest,
    ReadResultOut,
    WriteReply,
    WriteRequest,
    WriteResult,
)
from service.validation import MAX_DETAILS

router = protected("memory", "/v1/tenants/{tenant}")


@router.post("/write")
async def write(
    tenant: Writer,
    body: WriteRequest,
    service: Running,
    model: Model,
    idempotency_key: IdempotencyKey = None,
) -> WriteReply:
    """Write facts: all or none. The very next generation uses them."""
    await service.store.tenant(tenant)  # a write never makes a tenant: refuse before encoding
    request = change_request(body, "write", idempotency_key, body.expected_version)
    facts = await with_ids(service, tenant, model, await _encode(model, tenant, body.facts))
    request = await within_quota(service, tenant, request)
    with service.timed("write"):
        change = await service.store.write(tenant, facts, request)
    if not change.replayed:
        service.metrics.facts_written.inc(len(facts))
        ids = [row.id for row in change.results]
        await service.audit.note("write", tenant, ids, change.version - 1, change.version)
    return WriteReply(version=change.version, results=_written(change))


@router.post("/read")
async def read(tenant: Reader, body: ReadRequest, service: Running, model: Model) -> ReadReply:
    """What the memory reads out for queries, without generating."""
    memory = await current_memory(service, tenant)
    try:
        found = await model.read(memory, body.queries)
    except PromptTooLong as exc:
        raise PromptRefused(str(exc), param=f"queries[{exc.index}]") from None
    for result in found:
        service.metrics.decided(result.in_scope, result.confidence)
    shown = [result.matches[: body.top_k] for result in found]
    # For a person to read beside what the latent says; the cache has none of it.
    ids = () if memory.stale else (match.id for row in shown for match in row)
    records = await records_of(service, tenant, ids)
    texts = {r.id: r.text or f"{r.prompt} {r.target}" for r in records.values()}
    results = [
        ReadResultOut(
            in_scope=result.in_scope,
            confidence=result.confidence,
            text=result.text,
            matches=[MatchOut(**asdict(m), text=texts.get(m.id)) for m in matches],
        )
        for result, matches in zip(found, shown, strict=True)
    ]
    return ReadReply(version=memory.info.version, stale=memory.stale, results=results)


def _written(change: Change) -> list[WriteResult]:
    return [
        WriteResult(
            id=r.id,
            status=cast(Literal["written", "replaced"], r.status),
            replaced_id=r.replaced_id,
        )
        for r in change.results
    ]


async def _encode(model: Engine, tenant: str, facts: Sequence[FactIn]) -> list[Fact]:
    """Facts with their addresses and latents. Raises FactRefused, naming those too long."""
    texts = [FactText(fact.prompt, fact.target, fact.text) for fact in facts]
    try:
        encoded = await model.encode(texts, tenant)
    except FactTooLong as exc:
        raise _too_long(exc, facts) from None
    now = time.time()
    return [
        Fact(
            cue=code.cue,
            address=code.address,
            latent=code.latent,
            id=fact.id,
            prompt=fact.prompt,
            target=fact.target,
            text=fact.text,
            metadata=fact.metadata,
            expires_at=now + fact.ttl_seconds if fact.ttl_seconds else None,
        )
        for fact, code in zip(facts, encoded, strict=True)
    ]


def _too_long(exc: FactTooLong, facts: Sequence[FactIn]) -> FactRefused:
    message = f"has more than {exc.limit} tokens with its prompt: longer text goes to documents"
    params = [f"facts[{i}].{'target' if facts[i].text is None else 'text'}" for i in exc.indices]
    details = [
        {"param": param, "code": "fact_too_long", "message": message}
        for param in params[:MAX_DETAILS]
    ]
    return FactRefused(message, param=params[0], details=details)
