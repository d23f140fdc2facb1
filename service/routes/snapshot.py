"""A tenant as one file: out as a stream of one version, in as a whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from fastapi import Request
from starlette.responses import StreamingResponse

from memory_store.store import ChangeRequest
from service.routes.common import Admin, IdempotencyKey, Running, protected
from service.schemas_admin import SnapshotReply

router = protected("snapshot", "/v1/tenants/{tenant}/snapshot")
MEDIA_TYPE = "application/octet-stream"
BINARY = {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


@router.get("", response_class=StreamingResponse, responses={200: BINARY})
async def get_snapshot(tenant: Admin, service: Running) -> StreamingResponse:
    """Everything the tenant holds, in safetensors."""
    pieces = service.store.export_snapshot(tenant)
    first = await anext(pieces)  # before the status goes out: no tenant is still a 404
    await service.audit.note("snapshot.export", tenant)
    name = f'attachment; filename="{tenant}.safetensors"'
    return StreamingResponse(
        _with(first, pieces), media_type=MEDIA_TYPE, headers={"Content-Disposition": name}
    )


@router.put("", openapi_extra={"requestBody": {"required": True, **BINARY}})
async def put_snapshot(
    tenant: Admin, request: Request, service: Running, idempotency_key: IdempotencyKey = None
) -> SnapshotReply:
    """Replace everything the tenant holds. A file that is not sound changes nothing."""
    await service.store.tenant(tenant)
    with tempfile.TemporaryDirectory(prefix="larimar-") as folder:
        path = Path(folder) / "snapshot.safetensors"
        size, digest = await _received(request, path)
        await service.limits.check_size(tenant, size)
        id = f"c:{idempotency_key}" if idempotency_key else f"s:{uuid.uuid4().hex}"
        change_request = ChangeRequest(id, digest if idempotency_key else "")
        with service.timed("import_snapshot"):
            change = await service.store.import_snapshot(tenant, path, change_request)
    if not change.replayed:
        await service.audit.note("snapshot.import", tenant, (), None, change.version)
    info = await service.store.tenant(tenant)
    return SnapshotReply(version=change.version, facts=info.rows)


async def _received(request: Request, path: Path) -> tuple[int, str]:
    """The body in a file: its size in bytes and its SHA-256."""
    size, digest = 0, hashlib.sha256(b"snapshot\n")
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            digest.update(chunk)
            await file.write(chunk)
    return size, digest.hexdigest()


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
