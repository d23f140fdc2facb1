"""Every call of `MemoryStore` on a real Valkey."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store import errors
from memory_store.pages import K, Layout
from memory_store.redis_store import RedisStore, connect
from memory_store.store import Fact, MemorySpec, MemoryStore
from tests.contract.conftest import MakeStore, later, request
from tests.unit.memory_store.facts import SMALL, clustered, fact, facts_at

pytestmark = pytest.mark.anyio


async def test_it_is_a_memory_store(store: RedisStore) -> None:
    checked: MemoryStore = store
    assert await checked.ping()


async def test_a_fact_is_read_after_it_is_written(store: RedisStore, tenant: str) -> None:
    change = await store.write(tenant, [fact(1), fact(2)], request())
    assert (change.version, [r.status for r in change.results]) == (1, ["written"] * 2)
    readout = (await store.memory(tenant)).read(fact(1).address[None])
    assert readout.ids[0][0] == change.results[0].id
    assert readout.latent[0] == pytest.approx(fact(1).latent, abs=0.02)


async def test_info_counts_what_is_there(store: RedisStore, tenant: str) -> None:
    facts = [fact(1), fact(2, kind="suppression"), fact(3, kind="chunk", id="d:0"), fact(4)]
    await store.write(tenant, facts, request())
    info = await store.tenant(tenant)
    assert (info.facts, info.suppressions, info.chunks, info.version) == (2, 1, 1, 1)
    assert info.bytes > 4 * Layout(SMALL).row_size
    await store.forget(tenant, request(), ids=["d:0"], cues=[f.cue for f in facts])
    info = await store.tenant(tenant)
    assert (info.facts, info.suppressions, info.chunks, info.bytes) == (0, 0, 0, 0)


async def test_create_twice_updates(store: RedisStore, tenant: str) -> None:
    before = await store.tenant(tenant)
    after, new = await store.create_tenant(tenant, quota_facts=7)
    assert not new
    assert (after.quota_facts, after.epoch) == (7, before.epoch)
    assert tenant in await store.tenants()


async def test_policy_is_fixed_after_the_first_write(store: RedisStore, tenant: str) -> None:
    assert (await store.create_tenant(tenant, policy="fixed"))[0].policy == "fixed"
    assert (await store.create_tenant(tenant, policy="grow"))[0].policy == "grow"
    await store.write(tenant, [fact(1)], request())
    with pytest.raises(errors.PolicyFixed):
        await store.create_tenant(tenant, policy="fixed")


@pytest.mark.parametrize("name", ["absent", "", "Upper", "a}b", "x" * 64, "é"])
async def test_an_unknown_tenant_is_not_found(store: RedisStore, name: str) -> None:
    with pytest.raises(errors.TenantNotFound):
        await store.tenant(name)
    with pytest.raises(errors.TenantNotFound):
        await store.memory(name)
    with pytest.raises(errors.TenantNotFound):
        await store.write(name, [fact(1)], request())
    with pytest.raises(errors.TenantNotFound):
        await store.forget(name, request(), ids=["a"])
    with pytest.raises(errors.TenantNotFound):
        await store.record(name, "a")
    with pytest.raises(errors.TenantNotFound):
        await store.records(name)
    with pytest.raises(errors.TenantNotFound):
        await store.delete_tenant(name)


async def test_the_same_cue_replaces(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(1)], request())
    cue = fact(1).cue.upper() + " "
    change = await store.write(tenant, [fact(1, cue=cue, latent=fact(9).latent)], request())
    assert [(r.status, r.replaced_id) for r in change.results] == [("replaced", None)]
    view = await store.view(tenant)
    assert next(iter(view.latents().values())) == pytest.approx(fact(9).latent, abs=0.02)
    assert (await store.tenant(tenant)).facts == 1


async def test_a_new_id_with_an_old_cue_supersedes(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(1, id="old")], request())
    change = await store.write(tenant, [fact(1, id="new")], request())
    assert change.results[0].replaced_id == "old"
    with pytest.raises(errors.FactNotFound):
        await store.record(tenant, "old")
    assert (await store.record(tenant, "new")).target == "B-1"


async def test_of_duplicates_in_one_call_the_last_stays(store: RedisStore, tenant: str) -> None:
    facts = [fact(1, target="one"), fact(2), fact(1, target="two")]
    change = await store.write(tenant, facts, request())
    assert [r.status for r in change.results] == ["written", "written", "replaced"]
    assert (await store.record(tenant, change.results[0].id)).target == "two"
    assert (await store.tenant(tenant)).facts == 2


async def test_forget_by_id_and_by_cue(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(1, id="a"), fact(2, id="b"), fact(3, id="c")], request())
    change = await store.forget(tenant, request(), ids=["a", "x"], cues=[fact(2).cue, "no such"])
    assert [r.status for r in change.results] == ["erased", "not_found", "erased", "not_found"]
    assert [r.id for r in change.results[:3]] == ["a", "x", "b"]
    assert list((await store.view(tenant)).latents()) == ["c"]


async def test_forgetting_nothing_changes_nothing(store: RedisStore, tenant: str) -> None:
    change = await store.forget(tenant, request(), ids=["x"])
    assert change.version == 0
    assert (await store.tenant(tenant)).version == 0


async def test_a_bad_fact_refuses_the_whole_call(store: RedisStore, tenant: str) -> None:
    bad: list[Fact] = [
        fact(1, id="has space"),
        fact(1, id="x" * 129),
        fact(1, address=np.full(16, np.nan, np.float32)),
        fact(1, address=np.zeros(16, np.float32)),
        fact(1, address=fact(1).address * 2),
        fact(1, address=fact(1).address[:8]),
        fact(1, latent=np.full(8, np.inf, np.float32)),
        fact(1, latent=np.full(8, 1e6, np.float32)),
        fact(1, latent=np.full(9, 1, np.float32)),
        fact(1, kind="chunk"),
        fact(1, expires_at=float("nan")),
        fact(1, metadata={"x": float("nan")}),
        fact(1, metadata={"x": object()}),
        fact(1, text="\ud800"),
    ]
    for wrong in bad:
        with pytest.raises(errors.InvalidFact) as refused:
            await store.write(tenant, [fact(0), wrong], request())
        assert refused.value.index == 1
    with pytest.raises(ValueError, match="1000"):
        await store.write(tenant, [], request())
    with pytest.raises(ValueError, match="1000"):
        await store.write(tenant, [fact(1)] * 1001, request())
    assert (await store.tenant(tenant)).version == 0


async def test_quota(store: RedisStore, tenant: str) -> None:
    await store.create_tenant(tenant, quota_facts=2)
    await store.write(tenant, [fact(1), fact(2)], request())
    with pytest.raises(errors.QuotaExceeded):
        await store.write(tenant, [fact(2), fact(3)], request())
    assert (await store.tenant(tenant)).version == 1
    await store.write(tenant, [fact(2, target="new")], request())
    await store.create_tenant(tenant, quota_facts=1)
    await store.write(tenant, [fact(2, target="newer")], request())  # does not grow


async def test_expected_version(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(1)], request(version=0))
    with pytest.raises(errors.VersionConflict):
        await store.write(tenant, [fact(2)], request(version=0))
    with pytest.raises(errors.VersionConflict):
        await store.forget(tenant, request(version=2), cues=[fact(1).cue])
    await store.forget(tenant, request(version=1), cues=[fact(1).cue])


async def test_a_resent_change_does_nothing(store: RedisStore, tenant: str) -> None:
    once = await store.write(tenant, [fact(1)], request("key", "body", version=0))
    await store.forget(tenant, request(), cues=[fact(1).cue])
    again = await store.write(tenant, [fact(1)], request("key", "body", version=0))
    assert again.replayed
    assert (again.version, again.results) == (once.version, once.results)
    assert (await store.tenant(tenant)).facts == 0
    with pytest.raises(errors.IdempotencyKeyReused):
        await store.write(tenant, [fact(2)], request("key", "other body"))


async def test_an_outcome_is_kept_for_a_day(store: RedisStore, tenant: str, valkey: str) -> None:
    """That of a change whose id the server drew, for ten minutes."""
    own, sent = request(), request("key", "body")
    await store.write(tenant, [fact(1)], own)
    await store.write(tenant, [fact(2)], sent)
    async with connect(valkey) as redis:
        for seconds, remembered in [(500, [own, sent]), (100, [sent]), (85_700, [sent]), (100, [])]:
            await later(redis, tenant, seconds)
            await store.forget(tenant, request(digest="any"), ids=["x"])
            assert [one for one in (own, sent) if await store.applied(tenant, one)] == remembered
    assert not (await store.write(tenant, [fact(3)], request("key", "another body"))).replayed


async def test_a_forget_that_found_nothing_is_remembered_too(
    store: RedisStore, tenant: str
) -> None:
    await store.forget(tenant, request("key", "body"), cues=[fact(1).cue])
    await store.write(tenant, [fact(1)], request())
    again = await store.forget(tenant, request("key", "body"), cues=[fact(1).cue])
    assert again.replayed
    assert (await store.tenant(tenant)).facts == 1


async def test_writers_with_conflicts_lose_nothing(make_store: MakeStore, tenant: str) -> None:
    workers = [make_store() for _ in range(4)]
    facts = [fact(n) for n in range(40)]
    await asyncio.gather(
        *(worker.write(tenant, [f], request()) for n, f in enumerate(facts)
          for worker in [workers[n % 4]])
    )  # fmt: skip
    view = await workers[0].view(tenant)
    assert (view.info.version, view.info.facts, len(view.latents())) == (40, 40, 40)


async def test_records(store: RedisStore, tenant: str) -> None:
    facts = [fact(n, id=f"f{n}", metadata={"n": n}) for n in range(25)]
    await store.write(tenant, facts, request())
    await store.forget(tenant, request(), ids=["f3", "f24"])
    seen, cursor = [], None
    while True:
        page, cursor = await store.records(tenant, cursor=cursor, limit=10)
        seen += page
        if cursor is None:
            break
    assert [r.id for r in seen] == [f"f{n}" for n in range(25) if n not in (3, 24)]
    assert seen[4].metadata == {"n": 5}
    assert (seen[0].prompt, seen[0].target, seen[0].text) == (fact(0).prompt, "B-0", None)
    assert abs(seen[0].created_at - time.time()) < 60
    assert await store.record(tenant, "f5") == seen[4]


async def test_a_listing_finds_what_is_replaced_meanwhile(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(n, id=f"f{n}") for n in range(6)], request())
    await store.forget(tenant, request(), ids=["f0"])
    first, cursor = await store.records(tenant, limit=2)
    await store.write(tenant, [fact(4, id="f4"), fact(5, id="new")], request())  # same id, same cue
    rest, _ = await store.records(tenant, cursor=cursor)
    assert [r.id for r in first + rest] == ["f1", "f2", "f3", "f4", "new"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "²", "9" * 30])
async def test_a_bad_cursor(store: RedisStore, tenant: str, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.records(tenant, cursor=cursor)
    with pytest.raises(ValueError, match="limit"):
        await store.records(tenant, limit=501)


async def test_what_expires_is_neither_read_nor_listed_and_is_swept(
    store: RedisStore, tenant: str
) -> None:
    past = time.time() - 5
    facts = [fact(1, expires_at=past), fact(2, expires_at=past + 1000), fact(3)]
    ids = [r.id for r in (await store.write(tenant, facts, request())).results]
    readout = (await store.memory(tenant)).read(np.stack([f.address for f in facts]))
    assert ids[0] not in {id for found in readout.ids for id in found}
    assert [r.id for r in (await store.records(tenant))[0]] == ids[1:]
    with pytest.raises(errors.FactNotFound):
        await store.record(tenant, ids[0])
    assert (await store.tenant(tenant)).facts == 3
    swept = [change async for change in store.sweep(tenant)]
    assert [[r.id for r in change.results] for change in swept] == [[ids[0]]]
    assert (await store.tenant(tenant)).facts == 2
    assert [change async for change in store.sweep(tenant)] == []


async def test_a_rewritten_fact_loses_its_expiry(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [fact(1, expires_at=time.time() - 5)], request())
    await store.write(tenant, [fact(1)], request())
    assert [change async for change in store.sweep(tenant)] == []
    assert (await store.records(tenant))[0][0].expires_at is None


async def test_what_one_tenant_holds_another_never_sees(
    store: RedisStore, tenant: str, other_tenant: str
) -> None:
    id = (await store.write(tenant, [fact(1)], request("key", "body"))).results[0].id
    assert not (await store.memory(other_tenant)).read(fact(1).address[None]).ids[0]
    assert (await store.records(other_tenant))[0] == []
    with pytest.raises(errors.FactNotFound):
        await store.record(other_tenant, id)
    change = await store.forget(other_tenant, request(), ids=[id], cues=[fact(1).cue])
    assert {r.status for r in change.results} == {"not_found"}
    assert not (await store.write(other_tenant, [fact(1)], request("key", "another"))).replayed
    await store.delete_tenant(other_tenant)
    assert (await store.memory(tenant)).read(fact(1).address[None]).ids[0] == (id,)


async def test_a_tenant_made_anew_shows_no_old_fact(make_store: MakeStore, tenant: str) -> None:
    """On any worker, whatever it has cached, even at the same version."""
    one, two = make_store(), make_store()
    await one.write(tenant, [fact(1)], request())
    await two.memory(tenant)
    await one.delete_tenant(tenant)
    with pytest.raises(errors.TenantNotFound):
        await two.memory(tenant)
    await one.create_tenant(tenant)
    await one.write(tenant, [fact(2)], request())
    for worker in (one, two):
        view = await worker.view(tenant)
        assert view.info.version == 1
        assert next(iter(view.latents().values())) == pytest.approx(fact(2).latent, abs=0.02)


async def test_deleting_a_tenant_leaves_no_key(store: RedisStore, tenant: str, valkey: str) -> None:
    facts = facts_at(clustered(K + 10, 16, 0.5), SMALL)
    await store.write(tenant, facts[:300], request())
    await store.write(tenant, facts[300:], request("key", "body"))
    await store.forget(tenant, request(), cues=[facts[0].cue])
    await store.delete_tenant(tenant)
    async with Redis.from_url(valkey) as client:
        assert [key async for key in client.scan_iter(f"larimar:{{{tenant}}}:*")] == []
    assert tenant not in await store.tenants()


async def test_a_flipped_byte_names_the_page_and_leaves_others_alone(
    make_store: MakeStore, tenant: str, other_tenant: str, valkey: str
) -> None:
    store = make_store()
    await store.write(tenant, [fact(1)], request())
    await store.write(other_tenant, [fact(1)], request())
    epoch = (await store.tenant(tenant)).epoch
    async with Redis.from_url(valkey) as client:
        await client.setrange(f"larimar:{{{tenant}}}:{epoch}:page:0", 300, b"\xff")
    with pytest.raises(errors.PageCorrupt, match="page 0"):
        await store.memory(tenant)
    assert (await store.memory(other_tenant)).read(fact(1).address[None]).ids[0]


async def test_another_checkpoint_touches_nothing(
    make_store: MakeStore, tenant: str, valkey: str
) -> None:
    await make_store().write(tenant, [fact(1)], request())
    foreign = RedisStore(connect(valkey), MemorySpec(16, 8, "another checkpoint"))
    try:
        for call in (
            foreign.memory(tenant),
            foreign.write(tenant, [fact(2)], request()),
            foreign.forget(tenant, request(), cues=[fact(1).cue]),
            foreign.records(tenant),
            foreign.record(tenant, "x"),
            foreign.create_tenant(tenant),
            foreign.delete_tenant(tenant),
        ):
            with pytest.raises(errors.CheckpointMismatch):
                await call
        assert (await foreign.tenant(tenant)).facts == 1
    finally:
        await foreign.close()
