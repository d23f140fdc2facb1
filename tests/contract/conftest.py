"""A real Valkey for the session, and stores on it."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from memory_store.embedded import EmbeddedValkey
from memory_store.redis_store import RedisStore, connect
from memory_store.store import ChangeRequest
from tests.unit.memory_store.facts import SMALL

MakeStore = Callable[[], RedisStore]
NewTenant = Callable[[], Awaitable[str]]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """Its URL. In memory where there is room: it syncs every write, and disks can be slow."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 2 << 30
    with tempfile.TemporaryDirectory(dir=shared if roomy else None) as folder:
        server = EmbeddedValkey(Path(folder))
        yield server.start()
        server.stop()


@pytest.fixture
async def make_store(valkey: str) -> AsyncIterator[MakeStore]:
    """Stores as separate workers have them: nothing shared but Valkey."""
    stores: list[RedisStore] = []

    def make() -> RedisStore:
        stores.append(RedisStore(connect(valkey), SMALL))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
async def store(make_store: MakeStore) -> RedisStore:
    return make_store()


@pytest.fixture
async def tight(valkey: str) -> AsyncIterator[RedisStore]:
    """A store that can keep one page, not three."""
    store = RedisStore(connect(valkey), SMALL, cache_bytes=200_000)
    yield store
    await store.close()


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = connect(valkey)
    yield client
    await client.aclose()


@pytest.fixture
async def tenant(store: RedisStore) -> str:
    """A new tenant."""
    name = f"t{next(_numbers)}"
    await store.create_tenant(name)
    return name


@pytest.fixture
async def other_tenant(store: RedisStore) -> str:
    name = f"t{next(_numbers)}"
    await store.create_tenant(name)
    return name


def request(id: str | None = None, digest: str = "", version: int | None = None) -> ChangeRequest:
    return ChangeRequest(id or f"change-{next(_numbers)}", digest, version)


async def later(redis: Any, tenant: str, seconds: int) -> None:
    """As if the tenant's changes were that much older."""
    async for key in redis.scan_iter(f"larimar:{{{tenant}}}:*:idem:at"):
        for change in await redis.zrange(key, 0, -1):
            await redis.zincrby(key, -seconds, change)
