"""API keys in Redis: only SHA-256 digests, looked up by the id that a key carries.

A key is `lrm_<id>_<secret>`, 32 random bytes behind the second underscore: entropy enough that a
plain digest cannot be searched, and no slow hash has to run on every request. Records are cached
for a second, so that a revoked key dies on every worker within one; while Redis is away, keys
seen lately go on for `max_stale` seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from typing import Any

from redis.asyncio import Redis, RedisCluster

from memory_store.errors import StoreUnavailable
from memory_store.scripts import FAILURES, translated
from service.errors import KeyNotFound

KEYS = "larimar:keys"  # hash: id → record; tenants' keys all begin with `larimar:{`
USED = "larimar:keys:used"  # hash: id → time of last use
FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 0.5  # with a Redis that hangs, where the key is known already
# A key that is revoked while it is rotated stays revoked.
REPLACE = """
if redis.call('hexists', KEYS[1], ARGV[1]) == 0 then return false end
return redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
"""
USED_RESOLUTION = 60.0  # a key's last use is written at most this often
CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A stored key. `tenants` None is every tenant; times are seconds since the epoch."""

    id: str
    digest: str
    tenants: tuple[str, ...] | None
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def key_id(key: str) -> str | None:
    """The id inside `lrm_<id>_<secret>`; None where the text is no such key."""
    parts = key.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "lrm" and parts[1] else None


def new_key(id: str) -> str:
    return f"lrm_{id}_{secrets.token_urlsafe(32)}"


class KeyStore:
    """Create, find, rotate and revoke keys. Raises StoreUnavailable, KeyNotFound."""

    def __init__(self, redis: Redis | RedisCluster, *, max_stale: float) -> None:
        self._redis = redis
        self._max_stale = max_stale
        # id → (record, when it was read); least recently read first. Unknown ids are not kept:
        # made-up ones would push out the keys that are to outlive a blip of Redis.
        self._cache: OrderedDict[str, tuple[KeyRecord, float]] = OrderedDict()
        self._used: dict[str, float] = {}

    async def create(
        self, tenants: tuple[str, ...] | None, scopes: tuple[str, ...], expires_at: float | None
    ) -> tuple[KeyRecord, str]:
        """A new key and its record; the key itself is stored nowhere."""
        id = secrets.token_hex(6)
        key = new_key(id)
        record = KeyRecord(id, digest_of(key), tenants, scopes, time.time(), expires_at)
        await self._put(record)
        return record, key

    async def rotate(self, id: str) -> tuple[KeyRecord, str]:
        """The same id with a new secret; the old one stops working."""
        key = new_key(id)
        record = replace(await self.get(id), digest=digest_of(key))
        with translated():
            there = await self._redis.eval(REPLACE, 1, KEYS, id, _encode(record))
        self._cache.pop(id, None)
        if there is None:
            raise KeyNotFound()
        return record, key

    async def revoke(self, id: str) -> None:
        with translated():
            removed = await self._redis.hdel(KEYS, id)
            await self._redis.hdel(USED, id)
        self._cache.pop(id, None)
        if not removed:
            raise KeyNotFound()

    async def get(self, id: str) -> KeyRecord:
        """The record as Redis has it now."""
        record = await self._fetch(id)
        if record is None:
            raise KeyNotFound()
        return record

    async def all(self) -> list[KeyRecord]:
        """Every key, the oldest first, with the time of its last use."""
        with translated():
            stored = await self._redis.hgetall(KEYS)
            used = await self._redis.hgetall(USED)
        last = {_text(id): float(at) for id, at in used.items()}
        records = [_decode(raw) for raw in stored.values()]
        seen = [replace(r, last_used_at=last.get(r.id)) for r in records]
        return sorted(seen, key=lambda r: (r.created_at, r.id))

    async def find(self, id: str) -> KeyRecord | None:
        """The record behind an id, at most a second old unless Redis is away."""
        cached = self._cache.get(id)
        now = time.monotonic()
        if cached and now - cached[1] < FRESH_SECONDS:
            return cached[0]
        try:
            patience = PATIENCE_SECONDS if cached else None
            record = await asyncio.wait_for(self._fetch(id), patience)
        except (StoreUnavailable, TimeoutError):
            if cached and now - cached[1] < self._max_stale:
                return cached[0]
            raise StoreUnavailable() from None
        self._remember(id, record, now)
        return record

    async def touch(self, id: str) -> None:
        """Note that a key was used; never an error, for it is only for the eyes."""
        now = time.time()
        if now - self._used.get(id, 0.0) < USED_RESOLUTION:
            return
        self._used[id] = now
        try:
            await self._redis.hset(USED, id, repr(now))
        except FAILURES:
            self._used.pop(id, None)

    async def _fetch(self, id: str) -> KeyRecord | None:
        with translated():
            raw = await self._redis.hget(KEYS, id)
        return _decode(raw) if raw is not None else None

    async def _put(self, record: KeyRecord) -> None:
        with translated():
            await self._redis.hset(KEYS, record.id, _encode(record))
        self._cache.pop(record.id, None)

    def _remember(self, id: str, record: KeyRecord | None, now: float) -> None:
        if record is None:
            self._cache.pop(id, None)
            return
        self._cache[id] = (record, now)
        self._cache.move_to_end(id)
        if len(self._cache) > CACHE_SIZE:
            gone, _ = self._cache.popitem(last=False)
            self._used.pop(gone, None)


def _encode(record: KeyRecord) -> str:
    return json.dumps({k: v for k, v in asdict(record).items() if k != "last_used_at"})


def _decode(raw: bytes | str) -> KeyRecord:
    fields: dict[str, Any] = json.loads(raw)
    tenants = fields.pop("tenants")
    scopes = tuple(fields.pop("scopes"))
    return KeyRecord(**fields, scopes=scopes, tenants=None if tenants is None else tuple(tenants))


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
