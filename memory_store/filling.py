"""A new epoch of a tenant, filled while nobody reads it.

It is announced in the tenant's meta before its first key is written. One that will not be finished
is let go of; where the process died before it could, the next try or the tenant's deletion does.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from memory_store.errors import StoreError, TenantNotFound, VersionConflict
from memory_store.pages import K
from memory_store.scripts import Arg, Name, Scripts


@asynccontextmanager
async def new_epoch(scripts: Scripts, tenant: str, slots: int) -> AsyncIterator[str]:
    """Its name, to be filled and swapped in inside. Raises TenantNotFound."""
    epoch = secrets.token_hex(8)
    await expect(scripts, "begin", tenant, epoch, slots, K)
    try:
        yield epoch
    except BaseException:
        with suppress(StoreError):
            await scripts.run("abandon", tenant, epoch, K)
        raise


async def expect(scripts: Scripts, name: Name, tenant: str, *args: Arg) -> list[bytes | int]:
    """Run a step. Raises VersionConflict if the tenant is being replaced by somebody else."""
    reply = await scripts.run(name, tenant, *args)
    if reply[0] == b"missing":
        raise TenantNotFound(tenant)
    if reply[0] == b"conflict":
        raise VersionConflict(f"tenant {tenant} changed, or is replaced by somebody else")
    return reply
