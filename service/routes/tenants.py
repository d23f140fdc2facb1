"""Make, show and erase tenants."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Request, Response

from memory_store.store import TenantInfo
from service.auth import principal
from service.routes.common import Admin, Reader, Running, protected
from service.schemas import Counts, QuotaOut, TenantReply, TenantRequest, TenantsReply

router = protected("tenants", "/v1/tenants")


@router.get("")
async def list_tenants(request: Request, service: Running) -> TenantsReply:
    """The tenants that this key may use."""
    caller = principal(request)
    caller.require("admin")
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
    response.status_code = 201 if made else 200
    return _tenant(info)


@router.get("/{tenant}")
async def get_tenant(tenant: Reader, service: Running) -> TenantReply:
    """Policy, quota, counts, bytes and version."""
    return _tenant(await service.store.tenant(tenant))


@router.delete("/{tenant}", status_code=204)
async def delete_tenant(tenant: Admin, service: Running) -> None:
    """Erase the tenant and everything in it."""
    with service.timed("delete_tenant"):
        await service.store.delete_tenant(tenant)


def _tenant(info: TenantInfo) -> TenantReply:
    return TenantReply(
        tenant=info.name,
        policy=info.policy,
        version=info.version,
        quota=QuotaOut(facts=info.quota_facts),
        counts=Counts(facts=info.facts, suppressions=info.suppressions, chunks=info.chunks),
        bytes=info.bytes,
        created_at=info.created_at,
    )
