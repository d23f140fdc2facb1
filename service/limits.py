"""What a tenant may use: requests and generated tokens a minute, bytes in all.

The number of facts is the memory's own quota; facts and bytes are checked where they are counted,
in the change. Rates are counted on our Redis by the library `limits`, in fixed windows of a minute,
so that tokens, known only after the fact, are counted even where they overrun. While Redis is away
nobody is limited: a limit protects from a noisy neighbour, and must not turn an outage of the store
into one of the service.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, cast

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisClusterStorage, RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import Redis, RedisCluster

from memory_store.errors import QuotaExceeded
from memory_store.scripts import FAILURES, translated
from service.errors import RateLimited
from service.settings import Settings

log = structlog.get_logger()
LIMITS = "larimar:limits"  # hash: tenant → its own limits
FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 0.25  # for a counter of Redis; then the request passes uncounted
CACHE_SIZE = 4096
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """None is no limit."""

    bytes: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What was used in the current minute; None where nothing is limited, so not counted."""

    requests: int | None
    tokens: int | None


class Limits:
    """Limits of tenants. Raises RateLimited and QuotaExceeded; StoreUnavailable only to change."""

    def __init__(self, redis: Redis | RedisCluster, settings: Settings) -> None:
        self._redis = redis
        self._defaults = TenantLimits(
            settings.quota_bytes, settings.requests_per_minute, settings.tokens_per_minute
        )
        self._rates = FixedWindowRateLimiter(_storage(redis))
        self._cache: dict[str, tuple[TenantLimits, float]] = {}  # with the time of reading

    async def of(self, tenant: str) -> TenantLimits:
        """At most a second old; the last known, or the defaults, while Redis is away."""
        known = self._cache.get(tenant)
        now = time.monotonic()
        if known and now - known[1] < FRESH_SECONDS:
            return known[0]
        asked: Awaitable[str | bytes | Literal[False] | None] = self._redis.hget(LIMITS, tenant)
        raw = await self._open(asked, False)
        if raw is False:  # no answer, which does not say that it has none of its own
            found = known[0] if known else self._defaults
        else:
            found = self._merged(json.loads(raw)) if raw else self._defaults
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[tenant] = (found, now)
        return found

    async def change(self, tenant: str, **given: int | None) -> TenantLimits:
        """Set what is given, keep the rest."""
        new = {name: value for name, value in given.items() if value is not None}
        with translated():
            raw = await self._redis.hget(LIMITS, tenant)
            stored = (json.loads(raw) if raw else {}) | new
            if new:
                await self._redis.hset(LIMITS, tenant, json.dumps(stored))
        self._cache.pop(tenant, None)
        return self._merged(stored)

    async def drop(self, tenant: str) -> None:
        """Of an erased tenant nothing stays."""
        self._cache.pop(tenant, None)
        with translated():
            await self._redis.hdel(LIMITS, tenant)

    async def admit(self, tenant: str) -> None:
        """Count one request. Raises RateLimited."""
        most = (await self.of(tenant)).requests_per_minute
        if most is None:
            return
        item = RateLimitItemPerMinute(most)
        if not await self._open(self._rates.hit(item, "requests", tenant), True):
            raise await self._limited(item, "requests", tenant)

    async def admit_tokens(self, tenant: str) -> None:
        """Raises RateLimited once this minute's tokens are used up."""
        most = (await self.of(tenant)).tokens_per_minute
        if most is None:
            return
        item = RateLimitItemPerMinute(most)
        if not await self._open(self._rates.test(item, "tokens", tenant), True):
            raise await self._limited(item, "tokens", tenant)

    async def spend(self, tenant: str, tokens: int) -> None:
        """Count generated tokens."""
        most = (await self.of(tenant)).tokens_per_minute
        if most is not None and tokens:
            item = RateLimitItemPerMinute(most)
            await self._open(self._rates.hit(item, "tokens", tenant, cost=tokens), True)

    async def check_size(self, tenant: str, size: int) -> None:
        """Raises QuotaExceeded where so many bytes are more than the tenant may have in all."""
        most = (await self.of(tenant)).bytes
        if most is not None and size > most:
            raise QuotaExceeded(f"the quota is {most} bytes")

    async def rates(self, tenant: str) -> Rates:
        """Use of the current minute."""
        limits = await self.of(tenant)
        return Rates(
            await self._used(limits.requests_per_minute, "requests", tenant),
            await self._used(limits.tokens_per_minute, "tokens", tenant),
        )

    async def _used(self, most: int | None, kind: str, tenant: str) -> int | None:
        if most is None:
            return None
        stats = self._rates.get_window_stats(RateLimitItemPerMinute(most), kind, tenant)
        found = await self._open(stats, None)
        return None if found is None else most - found.remaining

    async def _limited(self, item: RateLimitItem, kind: str, tenant: str) -> RateLimited:
        stats = await self._open(self._rates.get_window_stats(item, kind, tenant), None)
        wait = math.ceil(stats.reset_time - time.time()) if stats else 1
        message = f"more than {item.amount} {kind} a minute"
        return RateLimited(message, retry_after=max(wait, 1))

    async def _open(self, call: Awaitable[T], otherwise: T) -> T:
        """The call's result, or `otherwise` while Redis is away."""
        try:
            return await asyncio.wait_for(call, PATIENCE_SECONDS)
        except (*FAILURES, TimeoutError) as exc:
            log.warning("not limited", error=type(exc).__name__)
            return otherwise

    def _merged(self, stored: dict[str, Any]) -> TenantLimits:
        return TenantLimits(**(asdict(self._defaults) | stored))


def _storage(redis: Redis | RedisCluster) -> RedisStorage:
    """On our client: another one would know neither our TLS nor when to close."""
    if isinstance(redis, RedisCluster):
        unused = "async+redis+cluster://localhost:6379"
        storage = RedisClusterStorage(unused, implementation="redispy", key_prefix=LIMITS)
        bridge, ours = cast(RedispyBridge, storage.bridge), cast(Any, redis)
        bridge.connection_getter = lambda _: ours
        bridge.register_scripts()
        return storage
    return RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix=LIMITS,
        connection_pool=redis.connection_pool,  # type: ignore[arg-type]
    )
