"""The Lua scripts, the names of Redis keys, and vendor errors turned into ours.

One script per change: Redis runs it alone, so a change is whole or absent. The braces in a key
are Redis Cluster's hash tag: all of a tenant lives on one slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, get_args

from redis import exceptions as redis_errors
from redis.asyncio import Redis, RedisCluster

from memory_store import errors
from memory_store.durability import Durability
from memory_store.store import TenantInfo

Name = Literal[
    "create",
    "delete",
    "plan",
    "write",
    "erase",
    "confirm",
    "sync",
    "record",
    "records",
    "documents",
    "begin",
    "fill",
    "swap",
    "page",
    "rows",
    "fence",
    "reencode",
    "abandon",
    "tidy",
]
TENANT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PLAIN, OOM = "#!lua\n", "#!lua flags=allow-oom\n"  # what frees memory must run without any
# Scripts made of other files than their own: writing and erasing differ in their flags alone.
PARTS: Final[dict[Name, tuple[str, ...]]] = {
    "write": (PLAIN, "outcomes", "change"),
    "erase": (OOM, "outcomes", "change"),
    "tidy": (OOM, "outcomes", "tidy"),
    "delete": (OOM, "epoch", "delete"),
    "begin": (OOM, "epoch", "begin"),
    "swap": (OOM, "epoch", "swap"),
    "reencode": (OOM, "epoch", "reencode"),
    "abandon": (OOM, "epoch", "abandon"),
}
CHANGING: Final = frozenset(get_args(Name)) - {
    "plan", "sync", "record", "records", "documents", "page", "fence",
}  # fmt: skip
# What a call of Redis raises where it fails: a cluster that is away raises no RedisError.
FAILURES: Final = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
AWAY: Final = frozenset({  # replies of a Redis that cannot answer now
    "READONLY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "ASK", "TRYAGAIN", "BUSY",
})  # fmt: skip
CODE: Final = re.compile(r"(?:^|caused error: \W*)([A-Z]+) ")  # a pipeline writes before it
Client = Redis | RedisCluster
Arg = str | bytes | int | float


def meta_key(tenant: str) -> str:
    """Raises TenantNotFound for a name that no tenant can have."""
    if not TENANT_NAME.fullmatch(tenant):
        raise errors.TenantNotFound(tenant)
    return f"larimar:{{{tenant}}}:meta"


def page_key(tenant: str, epoch: str, page: int) -> str:
    return f"larimar:{{{tenant}}}:{epoch}:page:{page}"


def record_key(tenant: str, epoch: str, page: int) -> str:
    return f"larimar:{{{tenant}}}:{epoch}:rec:{page}"


def fixed_key(tenant: str, epoch: str) -> str:
    return f"larimar:{{{tenant}}}:{epoch}:fixed"


@cache
def source(name: Name) -> str:
    """The text of a script, package data."""
    flags, *files = PARTS.get(name, ("", name))
    folder = resources.files("memory_store") / "lua"
    return flags + "".join((folder / f"{file}.lua").read_text() for file in files)


class Scripts:
    """All scripts of one client. Replies are lists of bytes, integers and None."""

    def __init__(self, client: Client, replicas: int = 0) -> None:
        self._client, names = client, get_args(Name)
        self._scripts = {name: client.register_script(source(name)) for name in names}
        self._durability = Durability(client, replicas)

    async def run(self, name: Name, tenant: str, *args: Arg) -> list[Any]:
        """Raises StoreUnavailable, StoreFull and, for a change, OutcomeUnknown and
        DurabilityUnconfirmed."""
        script, key = self._scripts[name], meta_key(tenant)
        if name in CHANGING:
            with translated(changing=True):
                return await self._durability.run(script, key, list(args))
        with translated():
            reply: list[Any] = await script(keys=[key], args=list(args))
        return reply

    async def get_and_run(
        self, keys: Sequence[str], name: Name, tenant: str, *args: Arg
    ) -> tuple[list[bytes | None], list[Any]]:
        """The values of keys of a tenant and then a script's reply, in one round trip.

        Raises StoreUnavailable.
        """
        if not keys:
            return [], await self.run(name, tenant, *args)
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.get(key)
        pipe.eval(source(name), 1, meta_key(tenant), *args)  # known or not
        with translated():
            *got, reply = await pipe.execute()
        return got, reply

    async def confirm(self, tenant: str, change: str) -> None:
        """Wait for copies of a change that was applied before, as for a new one."""
        await self.run("confirm", tenant, change)


@contextmanager
def translated(changing: bool = False) -> Iterator[None]:
    """Redis's errors as ours. A change that was sent and not answered may have been applied."""
    try:
        yield
    except redis_errors.OutOfMemoryError as error:
        raise errors.StoreFull("Redis is out of memory") from error
    except redis_errors.ResponseError as error:
        found = CODE.search(str(error))
        code = error.status_code or (found[1] if found else "")
        if code == "MISCONF":
            raise errors.StoreFull("Redis cannot persist") from error
        if code == "BUSY" and changing:  # with a script that may be this one, sent before
            raise errors.OutcomeUnknown(str(error)) from error
        if code in AWAY:
            raise errors.StoreUnavailable(f"{code} {error}") from error
        raise
    except FAILURES as error:
        if changing:
            raise errors.OutcomeUnknown("the connection broke during the change") from error
        raise errors.StoreUnavailable("Redis cannot be reached") from error


def parse_meta(tenant: str, flat: list[bytes]) -> tuple[TenantInfo, dict[str, str]]:
    """HGETALL's flat reply as TenantInfo, and as text by field."""
    text = [item.decode() for item in flat]
    meta = dict(zip(text[::2], text[1::2], strict=True))
    info = TenantInfo(
        name=tenant,
        policy="fixed" if meta["policy"] == "fixed" else "grow",
        epoch=meta["epoch"],
        version=int(meta["version"]),
        change=meta["change"],
        fingerprint=meta["fingerprint"],
        facts=int(meta["fact"]),
        suppressions=int(meta["suppression"]),
        chunks=int(meta["chunk"]),
        bytes=int(meta["bytes"]),
        quota_facts=int(meta["quota"]),
        created_at=float(meta["created_at"]),
    )
    return info, meta
