"""A real cluster of three nodes: a tenant lives whole on one slot, tenants spread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import RedisCluster

from benchmarks.servers import SLOTS, shut_down, three_nodes
from memory_store.errors import DurabilityUnconfirmed, StoreUnavailable, TenantNotFound
from memory_store.redis_store import RedisStore
from memory_store.store import Document, Policy
from tests.contract.conftest import request
from tests.contract.test_reencode import NEW, reencoded
from tests.contract.test_snapshot import save
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
        assert nodes_of(nodes, names) == {0, 1, 2}
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


def nodes_of(nodes: RedisCluster, tenants: list[str]) -> set[int]:
    return {nodes.keyslot(f"larimar:{{{name}}}:meta") * 3 // SLOTS for name in tenants}


@pytest.mark.parametrize("policy", ["grow", "fixed"])
async def test_a_tenant_s_life_on_a_cluster(
    cluster: list[int], tmp_path: Path, policy: Policy
) -> None:
    """Resend, expiry, document, snapshot, another checkpoint: on each node."""
    nodes, others = (RedisCluster(host="127.0.0.1", port=cluster[0]) for _ in range(2))
    store, new = RedisStore(nodes, SMALL), RedisStore(others, NEW)
    book = Document("book", "digest", chunks=2, chunks_done=0, created_at=1.0)
    names = [f"{policy}-{n}" for n in range(6)]
    try:
        for name in names:
            await store.create_tenant(name, policy=policy)
            for resent in (False, True):
                change = await store.write(name, [fact(1, id="f")], request("key", "body"))
                assert change.replayed is resent
            await store.write(name, [fact(2, expires_at=time.time() - 5)], request())
            assert [len(change.results) async for change in store.sweep(name)] == [1]
            done, _ = await store.write_chunks(name, book, [fact(3), fact(4)], request())
            assert await store.documents(name) == [await store.document(name, "book")] == [done]
            path = await save(store, name, tmp_path / name)
            erased = [part async for part in store.forget_document(name, "book", request())]
            assert [len(part.results) for part in erased] == [2]
            store._cache.drop(name)  # as another worker would load it
            readout = (await store.view(name)).read(fact(1).address[None])
            assert readout.ids == (("f",),)
            assert readout.latent[0] == pytest.approx(fact(1).latent, abs=0.02)
            await store.import_snapshot(name, path, request())
            assert (await reencoded(new, name)).status == "reencoded"
            view = await new.view(name)
            assert (len(view.latents()), view.info.policy) == (3, policy)
            assert await new.documents(name) == [done]
        assert nodes_of(nodes, names) == {0, 1, 2}
    finally:
        await store.close()
        await new.close()


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
