"""Write, forget and read facts of one tenant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from memory_store.errors import FactNotFound
from memory_store.store import Change, ChangeRequest, Fact, Record
from service.engine.protocol import Engine, FactText, FactTooLong, PromptTooLong
from service.errors import FactRefused, PromptRefused
from service.resources import Service
from service.routes.common import (
    IdempotencyKey,
    Model,
    Reader,
    Running,
    Writer,
    change_request,
    check_room,
    current_memory,
    protected,
)
from service.schemas import (
    FactIn,
    ForgetReply,
    ForgetRequest,
    ForgetResult,
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
SUPPRESSED = "unknown"  # what a suppressed cue is stored with


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
    facts = await _encode(model, body.facts)
    await check_room(service, tenant, facts)
    with service.timed("write"):
        change = await service.store.write(tenant, facts, request)
    if not change.replayed:
        service.metrics.facts_written.inc(len(facts))
    return WriteReply(version=change.version, results=_written(change))


@router.post("/forget")
async def forget(
    tenant: Writer,
    body: ForgetRequest,
    service: Running,
    model: Model,
    idempotency_key: IdempotencyKey = None,
) -> ForgetReply:
    """Erase facts: nothing of them is left. Or suppress what the base model knows of a cue."""
    request = change_request(body, "forget", idempotency_key)
    if body.mode == "suppress":
        return await _suppress(service, model, tenant, body, request)
    with service.timed("forget"):
        change = await service.store.forget(tenant, request, ids=body.ids, cues=body.prompts)
    return erased_reply(service, change)


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
    texts = await _texts(service, tenant, {match.id for row in shown for match in row})
    results = [
        ReadResultOut(
            in_scope=result.in_scope,
            confidence=result.confidence,
            text=result.text,
            matches=[MatchOut(id=m.id, weight=m.weight, text=texts.get(m.id)) for m in matches],
        )
        for result, matches in zip(found, shown, strict=True)
    ]
    return ReadReply(version=memory.info.version, stale=memory.stale, results=results)


def erased_reply(service: Service, change: Change) -> ForgetReply:
    results = [
        ForgetResult(id=r.id, status=cast(Literal["erased", "not_found"], r.status))
        for r in change.results
    ]
    if not change.replayed:
        service.metrics.facts_forgotten.inc(sum(r.status == "erased" for r in results))
    return ForgetReply(version=change.version, results=results)


def _written(change: Change) -> list[WriteResult]:
    return [
        WriteResult(
            id=r.id,
            status=cast(Literal["written", "replaced"], r.status),
            replaced_id=r.replaced_id,
        )
        for r in change.results
    ]


async def _encode(model: Engine, facts: Sequence[FactIn]) -> list[Fact]:
    """Facts with their addresses and latents. Raises FactRefused, naming those too long."""
    texts = [FactText(fact.prompt, fact.target, fact.text) for fact in facts]
    try:
        encoded = await model.encode(texts)
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


async def _suppress(
    service: Service, model: Engine, tenant: str, body: ForgetRequest, request: ChangeRequest
) -> ForgetReply:
    """Store each cue with the value "unknown"; an id stands for the cue of its fact."""
    records = await asyncio.gather(*(_record(service, tenant, id) for id in body.ids))
    cues = [(r.id, r.prompt or r.text or "") if r else None for r in records]
    named = [cue for cue in cues if cue] + [(None, prompt) for prompt in body.prompts]
    ids: Iterable[str] = ()
    version = (await service.store.tenant(tenant)).version
    if named:
        facts = await _suppressions(model, named)
        await check_room(service, tenant, facts)
        with service.timed("suppress"):
            change = await service.store.write(tenant, facts, request)
        version, ids = change.version, (r.id for r in change.results)
    left = iter(ids)
    results = [
        ForgetResult(id=id, status="suppressed" if cue else "not_found")
        if not cue
        else ForgetResult(id=next(left), status="suppressed")
        for id, cue in zip(body.ids, cues, strict=True)
    ]
    return ForgetReply(
        version=version, results=results + [ForgetResult(id=i, status="suppressed") for i in left]
    )


async def _suppressions(model: Engine, named: Sequence[tuple[str | None, str]]) -> list[Fact]:
    try:
        encoded = await model.encode([FactText(prompt, SUPPRESSED) for _, prompt in named])
    except FactTooLong as exc:
        raise FactRefused(str(exc), param="prompts") from None
    return [
        Fact(
            cue=code.cue,
            address=code.address,
            latent=code.latent,
            id=id,
            kind="suppression",
            prompt=prompt,
            target=SUPPRESSED,
        )
        for (id, prompt), code in zip(named, encoded, strict=True)
    ]


async def _record(service: Service, tenant: str, id: str) -> Record | None:
    try:
        return await service.store.record(tenant, id)
    except FactNotFound:
        return None


async def _texts(service: Service, tenant: str, ids: Iterable[str]) -> dict[str, str]:
    """The stored texts of facts, for a person to read beside what the latent says."""
    records = await asyncio.gather(*(_record(service, tenant, id) for id in ids))
    return {r.id: r.text or f"{r.prompt} {r.target}" for r in records if r}
