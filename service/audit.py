"""Who changed what, when: a capped stream in Redis, without a word of what was changed.

An entry follows its change. If Redis goes away in between, the change stands and the log of the
process says which entry is missing: refusing a change that has happened would be a lie.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from redis.asyncio import Redis, RedisCluster

from memory_store.scripts import FAILURES, translated

log = structlog.get_logger()
AUDIT = "larimar:audit"  # stream

Action = Literal[
    "write",
    "erase",
    "suppress",
    "expire",
    "document.write",
    "document.erase",
    "snapshot.export",
    "snapshot.import",
    "tenant.put",
    "tenant.delete",
    "tenant.reencode",
    "key.create",
    "key.rotate",
    "key.revoke",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `id` orders entries; versions are the tenant's memory's, where it has any."""

    id: str
    at: float
    action: str
    key_id: str
    request_id: str
    tenant: str | None
    ids: tuple[str, ...]
    version_before: int | None
    version_after: int | None


class Audit:
    """Append and read. At most about `size` entries are kept."""

    def __init__(self, redis: Redis | RedisCluster, size: int) -> None:
        self._redis, self._size = redis, size

    async def note(
        self,
        action: Action,
        tenant: str | None = None,
        ids: Sequence[str] = (),
        before: int | None = None,
        after: int | None = None,
    ) -> None:
        """Add an entry; caller and request come from the log's context."""
        context = structlog.contextvars.get_contextvars()
        entry = {
            "at": time.time(),
            "action": action,
            "key_id": context.get("key_id", "service"),
            "request_id": context.get("request_id", ""),
            "tenant": tenant,
            "ids": list(ids),
            "version_before": before,
            "version_after": after,
        }
        try:
            data = {"entry": json.dumps(entry)}
            await self._redis.xadd(AUDIT, data, maxlen=self._size, approximate=True)  # type: ignore[arg-type]
        except FAILURES as exc:
            log.error("audit entry lost", error=type(exc).__name__, **entry)

    async def entries(self, after: str | None, limit: int) -> list[Entry]:
        """Entries after an id, the oldest first. Raises StoreUnavailable."""
        start = f"({after}" if after else "-"
        with translated():
            found: Any = await self._redis.xrange(AUDIT, min=start, count=limit)
        return [_decode(id, fields) for id, fields in found]


def _decode(id: bytes, fields: dict[bytes, bytes]) -> Entry:
    data = json.loads(fields[b"entry"])
    return Entry(id=id.decode(), **(data | {"ids": tuple(data["ids"])}))
