"""A real cluster of three nodes: a tenant lives whole on one slot, tenants spread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import RedisCluster

from benchmarks.servers import SLOTS, shut_down, three_nodes
from memory_store.errors import DurabilityUnconfirmed, StoreUnavailable, TenantNotFound
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


async def test_a_change_waits_for_the_disk_of_its_node(
    cluster: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_store.durability.TIMEOUT_MS", 200)
    store = RedisStore(RedisCluster(host="127.0.0.1", port=cluster[0]), SMALL)
    nodes = [Redis(port=port) for port in cluster]
    try:
        await store.create_tenant("slow")
        for node in nodes:
            node.config_set("appendfsync", "no")
        with pytest.raises(DurabilityUnconfirmed):
            await store.write("slow", [fact(1)], request())
        for node in nodes:
            node.config_set("appendfsync", "always")
        await store.write("slow", [fact(2)], request())
    finally:
        await store.close()


async def test_a_change_follows_a_slot_to_another_node(cluster: list[int]) -> None:
    nodes = RedisCluster(host="127.0.0.1", port=cluster[0])
    store = RedisStore(nodes, SMALL)
    try:
        await store.create_tenant("moves")
        slot = nodes.keyslot("larimar:{moves}:meta")
        known = nodes.nodes_manager.slots_cache
        known[slot] = known[(slot + SLOTS // 2) % SLOTS]  # another node's
        await store._scripts.run("create", "moves", "e", "", "grow", 7, 1, "test", 16, 8)
        assert (await store.tenant("moves")).quota_facts == 7
    finally:
        await store.close()


async def test_a_cluster_that_is_away_is_told_as_one_server(tmp_path: Path) -> None:
    with three_nodes(tmp_path) as ports:
        store = RedisStore(RedisCluster(host="127.0.0.1", port=ports[0]), SMALL)
        await store.create_tenant("acme")
        await store.write("acme", [fact(1)], request())
        await store.memory("acme")
        for port in ports:
            shut_down(port)
        assert not await store.ping()
        assert (await store.memory("acme")).stale
        for call in (store.tenants(), store.write("acme", [fact(2)], request())):
            with pytest.raises(StoreUnavailable):
                await call
        await store.close()
