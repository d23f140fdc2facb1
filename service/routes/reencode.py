"""Bring a tenant under this process's checkpoint: what a new checkpoint's rollout needs.

The caller names the checkpoint, because behind a load balancer a process of either may answer, and
the wrong one would undo the work.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

from fastapi import Header, Request
from starlette.responses import StreamingResponse

from memory_store.store import Float32, Record
from service.engine.protocol import Engine, FactText, FactTooLong
from service.errors import NotReencodable, OtherCheckpoint
from service.resources import Service
from service.routes.common import Admin, Model, Running, encode_patiently, protected
from service.schemas_admin import ReencodeReply, ReencodeRequest
from service.sse import STREAM, event_stream, last_of, progress_of
from service.validation import MAX_DETAILS
from service.waiting import answer

router = protected("tenants", "/v1/tenants/{tenant}")


@router.post("/reencode", response_model=ReencodeReply, responses=STREAM)
async def post_reencode(
    tenant: Admin,
    body: ReencodeRequest,
    request: Request,
    service: Running,
    model: Model,
    accept: Annotated[str, Header(description="`text/event-stream` for progress.")] = "",
) -> ReencodeReply | StreamingResponse:
    """Encode a tenant's facts anew, from their texts, for the checkpoint named. It is read and
    written meanwhile; cut short, it is as it was. As server-sent events: `progress`, `done`."""
    if body.checkpoint != model.spec.fingerprint:
        raise OtherCheckpoint(f"this process has checkpoint {model.spec.fingerprint}")
    work = _reencoding(service, model, tenant)
    if "text/event-stream" in accept:
        return await event_stream(request, progress_of(work))
    return await answer(request, last_of(work))


async def _reencoding(
    service: Service, model: Engine, tenant: str
) -> AsyncGenerator[ReencodeReply, None]:
    async def encode(records: Sequence[Record]) -> list[tuple[Float32, Float32]]:
        return await _encoded(model, records, tenant)

    async with aclosing(service.store.reencode(tenant, encode)) as states:
        async for state in states:
            if state.status == "reencoded":
                before, after = state.before.version, state.after.version
                await service.audit.note("tenant.reencode", tenant, (), before, after)
            yield ReencodeReply(
                status=state.status,
                done=state.done,
                rows=state.rows,
                version=state.after.version,
                checkpoint=state.after.fingerprint,
            )


async def _encoded(
    model: Engine, records: Sequence[Record], tenant: str
) -> list[tuple[Float32, Float32]]:
    """Address and latent of each record. Raises NotReencodable, naming those that have none."""
    bare = [r for r in records if r.text is None and (r.prompt is None or r.target is None)]
    if bare:
        raise _refused(bare, "text_missing", "its text is not stored")
    texts = [
        FactText(text=r.text) if r.text is not None else FactText(r.prompt, r.target)
        for r in records
    ]
    try:
        encoded = await encode_patiently(model, texts, tenant)
    except FactTooLong as exc:
        raise _refused([records[i] for i in exc.indices], "fact_too_long", str(exc)) from None
    return [(code.address, code.latent) for code in encoded]


def _refused(records: Sequence[Record], code: str, message: str) -> NotReencodable:
    return NotReencodable(
        details=[
            {"param": record.id, "code": code, "message": message}
            for record in records[:MAX_DETAILS]
        ]
    )
