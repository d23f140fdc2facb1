"""What the routes share: the running service, and a change's identity from its headers."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from memory_store.store import ChangeRequest, MemoryStore, TenantMemory
from service.auth import allow
from service.engine.protocol import Encoded, Engine, FactText, QueueFull
from service.middleware import service_of
from service.resources import Service
from service.validation import StrictRoute

PATIENCE_SECONDS = 0.2  # before a full queue is asked again
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="`lrm_<id>_<secret>`")


def protected(tag: str, prefix: str = "") -> APIRouter:
    """A router of routes with strict bodies, for callers whose key the middleware has checked."""
    return APIRouter(
        prefix=prefix, tags=[tag], route_class=StrictRoute, dependencies=[Security(_bearer)]
    )


async def _service(request: Request) -> Service:
    return service_of(request.scope)


async def _store(request: Request) -> MemoryStore:
    return service_of(request.scope).store


async def _engine(request: Request) -> Engine:
    return service_of(request.scope).engine


Running = Annotated[Service, Depends(_service)]
Store = Annotated[MemoryStore, Depends(_store)]
Model = Annotated[Engine, Depends(_engine)]

# The path's tenant, once the caller may use it so.
Reader = Annotated[str, Depends(allow("read"))]
Generator = Annotated[str, Depends(allow("generate"))]
Writer = Annotated[str, Depends(allow("write"))]
Admin = Annotated[str, Depends(allow("admin"))]

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,128}$",
        description="Sent again with the same body within 24 hours, the change is not repeated.",
    ),
]


def change_request(
    body: BaseModel, op: str, key: str | None, expected_version: int | None = None
) -> ChangeRequest:
    """The client's change id with a digest that guards its reuse, or an id of our own."""
    if key is None:
        return ChangeRequest(id=f"s:{uuid.uuid4().hex}", expected_version=expected_version)
    digest = hashlib.sha256(f"{op}\n{body.model_dump_json()}".encode()).hexdigest()
    # The prefixes keep a client from naming one of the ids that we draw.
    return ChangeRequest(id=f"c:{key}", digest=digest, expected_version=expected_version)


async def current_memory(service: Service, tenant: str) -> TenantMemory:
    """The tenant's memory as it is now, or as the cache has it while the store is away."""
    with service.timed("memory"):
        memory = await service.store.memory(tenant)
    if memory.stale:
        service.metrics.stale_reads.inc()
    return memory


async def encode_patiently(model: Engine, texts: Sequence[FactText], tenant: str) -> list[Encoded]:
    """As `model.encode`; waits where the engine's queue is full, for others come first."""
    while True:
        try:
            return await model.encode(texts, tenant)
        except QueueFull:
            await asyncio.sleep(PATIENCE_SECONDS)


async def within_quota(service: Service, tenant: str, request: ChangeRequest) -> ChangeRequest:
    """The change, refused by the store where the tenant would outgrow its quota of bytes."""
    return replace(request, quota_bytes=(await service.limits.of(tenant)).bytes)
