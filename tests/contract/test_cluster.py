"""A real cluster of three nodes: a tenant lives whole on one slot, tenants spread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.asyncio import RedisCluster

from benchmarks.servers import SLOTS, three_nodes
from memory_store.errors import TenantNotFound
from memory_store.redis_store import RedisStore
from tests.contract.conftest import request
from tests.unit.memory_store.facts import SMALL, fact

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The nodes' ports."""
    with three_nodes(tmp_path_factory.mktemp("cluster")) as ports:
        yield ports


async def test_every_call_on_a_cluster(cluster: list[int]) -> None:
    nodes = RedisCluster(host="127.0.0.1", port=cluster[0])
    store = RedisStore(nodes, SMALL)
    names = [f"tenant-{n}" for n in range(8)]
    try:
        for n, name in enumerate(names):
            await store.create_tenant(name)
            await store.write(name, [fact(n), fact(n + 1)], request())
            await store.forget(name, request(), cues=[fact(n + 1).cue])
        assert len({nodes.keyslot(f"larimar:{{{name}}}:meta") * 3 // SLOTS for name in names}) == 3
        for n, name in enumerate(names):
            view = await store.view(name)
            assert view.read(fact(n).address[None]).weights[0][0] > 0.9
            assert [r.prompt for r in (await store.records(name))[0]] == [fact(n).prompt]
        assert await store.tenants() == sorted(names)
        assert await store.ping()
        await store.delete_tenant(names[0])
        with pytest.raises(TenantNotFound):
            await store.memory(names[0])
    finally:
        await store.close()


async def test_replicas_cannot_be_waited_for_on_a_cluster(cluster: list[int]) -> None:
    nodes = RedisCluster(host="127.0.0.1", port=cluster[0])
    with pytest.raises(ValueError, match="Cluster"):
        RedisStore(nodes, SMALL, replicas=1)
    await nodes.aclose()
