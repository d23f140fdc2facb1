"""Keys in a real Valkey, where two administrators act at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from memory_store.embedded import EmbeddedValkey
from memory_store.errors import StoreUnavailable
from service.errors import KeyNotFound
from service.keystore import KeyRecord, KeyStore

pytestmark = pytest.mark.anyio


class Overtaken(KeyStore):
    """Between reading a key and replacing it, another worker revokes it."""

    async def get(self, id: str) -> KeyRecord:
        record = await super().get(id)
        await KeyStore(self._redis, max_stale=0).revoke(id)
        return record


class Hanging(KeyStore):
    """A Redis that takes a question and never answers."""

    hangs = False

    async def _fetch(self, id: str) -> KeyRecord | None:
        if self.hangs:
            await asyncio.sleep(3600)
        return await super()._fetch(id)


async def test_a_known_key_goes_on_while_redis_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.keystore.FRESH_SECONDS", 0.0)
    server = EmbeddedValkey(tmp_path)
    redis = Redis.from_url(server.start())
    try:
        keys = Hanging(redis, max_stale=3600)
        record, _ = await keys.create(None, ("read",), None)
        assert await keys.find(record.id) == record
        keys.hangs = True
        assert await keys.find(record.id) == record
        keys._max_stale = 0
        with pytest.raises(StoreUnavailable):
            await keys.find(record.id)
    finally:
        await redis.aclose()
        server.stop()


async def test_a_key_that_is_revoked_while_it_is_rotated_stays_revoked(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    redis = Redis.from_url(server.start())
    try:
        keys = Overtaken(redis, max_stale=0)
        record, _ = await keys.create(None, ("read",), None)
        with pytest.raises(KeyNotFound):
            await keys.rotate(record.id)
        assert await keys.find(record.id) is None
        assert await keys.all() == []
    finally:
        await redis.aclose()
        server.stop()
