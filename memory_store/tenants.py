"""Tenants: made, looked at, listed, erased.

The list of names lives on another cluster slot than the tenants themselves, so it cannot change
in one step with them: it is written so that a tenant that exists is always listed, and a listed
name that does not exist is passed over.
"""

from __future__ import annotations

import secrets
from typing import Final

from memory_store.errors import CheckpointMismatch, PolicyFixed, TenantNotFound
from memory_store.pages import K
from memory_store.scripts import Client, Scripts, meta_key, parse_meta, translated
from memory_store.store import MemorySpec, Policy, TenantInfo

NAMES: Final = "larimar:tenants"


class Tenants:
    """All tenants of one store."""

    def __init__(self, client: Client, scripts: Scripts, spec: MemorySpec, quota: int) -> None:
        self._client, self._scripts, self._spec, self._quota = client, scripts, spec, quota

    async def create(
        self, tenant: str, policy: Policy | None, quota_facts: int | None
    ) -> tuple[TenantInfo, bool]:
        spec = self._spec
        shape = (spec.fingerprint, spec.address_dim, spec.latent_dim)
        quota = "" if quota_facts is None else quota_facts
        await self._list(tenant)
        status, *meta = await self._scripts.run(
            "create", tenant, secrets.token_hex(8), policy or "", "grow", quota, self._quota, *shape
        )
        _check(status, tenant)
        await self._list(tenant)  # again: a concurrent delete may have taken it off
        return parse_meta(tenant, meta[0])[0], status == b"created"

    async def info(self, tenant: str) -> TenantInfo:
        reply = await self._meta(tenant)
        if not reply:
            raise TenantNotFound(tenant)
        return parse_meta(tenant, reply)[0]

    async def names(self) -> list[str]:
        with translated():
            stored = await self._client.smembers(NAMES)
            names = sorted(name.decode() for name in stored if isinstance(name, bytes))
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.exists(meta_key(name))
            there = await pipe.execute()
        return [name for name, exists in zip(names, there, strict=True) if exists]

    async def delete(self, tenant: str) -> None:
        status, stored = b"missing", await self._meta(tenant)
        if stored:
            made = parse_meta(tenant, stored)[1]["created_at"]
            args = (made, self._spec.fingerprint, K)
            status, *_ = await self._scripts.run("delete", tenant, *args)
        if status != b"checkpoint":
            with translated():
                await self._client.srem(NAMES, tenant)
            if await self._meta(tenant):  # made anew meanwhile
                await self._list(tenant)
        _check(status, tenant)

    async def _meta(self, tenant: str) -> list[bytes]:
        with translated():
            fields = await self._client.hgetall(meta_key(tenant))
        return [item for pair in fields.items() for item in pair if isinstance(item, bytes)]

    async def _list(self, tenant: str) -> None:
        meta_key(tenant)  # refuses what no tenant can be called
        with translated():
            await self._client.sadd(NAMES, tenant)


def _check(status: bytes, tenant: str) -> None:
    if status == b"missing":
        raise TenantNotFound(tenant)
    if status == b"checkpoint":
        raise CheckpointMismatch(f"tenant {tenant} was written by another checkpoint")
    if status == b"policy":
        raise PolicyFixed(f"tenant {tenant} has been written to")
