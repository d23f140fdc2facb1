"""Keys in a real Valkey, where two administrators act at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from memory_store.embedded import EmbeddedValkey
from service.errors import KeyNotFound
from service.keystore import KeyRecord, KeyStore

pytestmark = pytest.mark.anyio


class Overtaken(KeyStore):
    """Between reading a key and replacing it, another worker revokes it."""

    async def get(self, id: str) -> KeyRecord:
        record = await super().get(id)
        await KeyStore(self._redis, max_stale=0).revoke(id)
        return record


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
