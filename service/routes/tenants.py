"""Make, show and erase tenants."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Body, Request, Response

from memory_store.errors import TenantNotFound
from memory_store.store import TenantInfo
from service.auth import principal
from service.limits import TenantLimits
from service.routes.common import Admin, Reader, Running, protected
from service.schemas_admin import (
    Counts,
    QuotaOut,
    TenantReply,
    TenantRequest,
    TenantsReply,
    UsageReply,
    Used,
)

router = protected("tenants", "/v1/tenants")


@router.get("")
async def list_tenants(request: Request, service: Running) -> TenantsReply:
    """The tenants that this key may use."""
    caller = principal(request)
    if "admin" not in caller.scopes:
        caller.require("read")
    names = await service.store.tenants()
    return TenantsReply(tenants=[name for name in names if caller.may_see(name)])


@router.put("/{tenant}", responses={201: {"model": TenantReply, "description": "Made."}})
async def put_tenant(
    tenant: Admin,
    service: Running,
    response: Response,
    body: Annotated[TenantRequest | None, Body()] = None,
) -> TenantReply:
    """Make a tenant, or change its quota. The policy is fixed after the first write."""
    body = body or TenantRequest()
    with service.timed("create_tenant"):
        info, made = await service.store.create_tenant(
            tenant, policy=body.policy, quota_facts=body.quota.facts
        )
    limits = await service.limits.change(tenant, **body.quota.model_dump(exclude={"facts"}))
    await service.audit.note("tenant.put", tenant, after=info.version)
    response.status_code = 201 if made else 200
    return _tenant(info, limits)


@router.get("/{tenant}")
async def get_tenant(tenant: Reader, service: Running) -> TenantReply:
    """Policy, quota, counts, bytes and version."""
    info = await service.store.tenant(tenant)
    return _tenant(info, await service.limits.of(tenant))


@router.get("/{tenant}/usage")
async def get_usage(tenant: Reader, service: Running) -> UsageReply:
    """What is used of each quota; rates are of the current minute."""
    info = await service.store.tenant(tenant)
    limits, rates = await service.limits.of(tenant), await service.limits.rates(tenant)
    return UsageReply(
        facts=Used(used=info.rows, quota=info.quota_facts),
        bytes=Used(used=info.bytes, quota=limits.bytes),
        requests_per_minute=Used(used=rates.requests, quota=limits.requests_per_minute),
        tokens_per_minute=Used(used=rates.tokens, quota=limits.tokens_per_minute),
    )


@router.delete("/{tenant}", status_code=204)
async def delete_tenant(tenant: Admin, service: Running) -> None:
    """Erase the tenant and everything in it."""
    with service.timed("delete_tenant"):
        try:
            await service.store.delete_tenant(tenant)
        except TenantNotFound:  # of one whose deletion was cut short, nothing stays either
            await service.limits.drop(tenant)
            raise
    await service.limits.drop(tenant)
    await service.audit.note("tenant.delete", tenant)


def _tenant(info: TenantInfo, limits: TenantLimits) -> TenantReply:
    return TenantReply(
        tenant=info.name,
        policy=info.policy,
        version=info.version,
        quota=QuotaOut(facts=info.quota_facts, **asdict(limits)),
        counts=Counts(facts=info.facts, suppressions=info.suppressions, chunks=info.chunks),
        bytes=info.bytes,
        checkpoint=info.fingerprint,
        created_at=info.created_at,
    )
