"""A real Valkey for the session, and stores on it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

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
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
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
