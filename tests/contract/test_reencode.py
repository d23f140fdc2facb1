"""A tenant moves to another checkpoint: nothing is lost, whoever writes or dies meanwhile."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store import errors
from memory_store.pages import K
from memory_store.redis_store import RedisStore, connect
from memory_store.store import Document, Fact, Float32, MemorySpec, Record, Reencoded
from tests.contract.conftest import request
from tests.contract.test_snapshot import save
from tests.unit.memory_store.facts import assert_same, fact, latents, spread

pytestmark = pytest.mark.anyio
NEW = MemorySpec(24, 12, "new")  # wider rows, too
BOOK = Document("book", "digest", chunks=3, chunks_done=0, created_at=1.0)
MANY = K + 100  # facts: more than a page, and many batches


def vectors(record: Record | Fact) -> tuple[Float32, Float32]:
    """What the new checkpoint makes of a fact's text."""
    seed = zlib.crc32(f"{record.prompt}|{record.target}|{record.text}".encode())
    return spread(1, NEW.address_dim, seed)[0], latents(1, NEW.latent_dim, seed)[0]


async def encode(records: Sequence[Record]) -> list[tuple[Float32, Float32]]:
    return [vectors(record) for record in records]


@pytest.fixture
async def new(valkey: str) -> AsyncIterator[RedisStore]:
    """A worker with the new checkpoint."""
    store = RedisStore(connect(valkey), NEW)
    yield store
    await store.close()


async def reencoded(store: RedisStore, tenant: str, encode: Any = encode) -> Reencoded:
    async for state in store.reencode(tenant, encode):
        last = state
    return last


async def everything(store: RedisStore, tenant: str) -> tuple[Any, ...]:
    info = await store.tenant(tenant)
    records: list[Record] = []
    cursor: str | None = "0"
    while cursor is not None:
        found, cursor = await store.records(tenant, cursor=cursor, limit=500)
        records += found
    counts = (info.facts, info.suppressions, info.chunks, info.policy, info.quota_facts)
    return counts, records, await store.documents(tenant)


async def timeless_bytes(store: RedisStore, tenant: str) -> int:
    """Without the times of its records, which are not of equally many digits."""
    _, records, _ = await everything(store, tenant)
    times = [t for r in records for t in (r.created_at, r.expires_at) if t is not None]
    return (await store.tenant(tenant)).bytes - sum(len(repr(t)) for t in times)


def recode(one: Fact) -> Fact:
    address, latent = vectors(one)
    return replace(one, address=address, latent=latent)


def contents() -> list[Fact]:
    facts = [fact(n) for n in range(MANY)]
    facts[3] = replace(facts[3], expires_at=time.time() + 1000, metadata={"k": [1]}, id="mine")
    facts[4] = replace(facts[4], kind="suppression", target="unknown")
    facts[5] = replace(facts[5], prompt=None, target=None, text="Five is a number.")
    return facts


def sentence(n: int) -> Fact:
    return fact(9000 + n, prompt=None, target=None, text=f"Sentence {n}.")


async def fill(store: RedisStore, tenant: str, *, new: bool = False) -> None:
    """A life: written, forgotten, superseded, and a document that is not complete."""

    def coded(*facts: Fact) -> list[Fact]:
        return [recode(one) for one in facts] if new else list(facts)

    facts = contents()
    await store.write(tenant, coded(*facts), request())
    await store.forget(tenant, request(), cues=[facts[0].cue, facts[MANY - 1].cue])
    await store.write_chunks(tenant, BOOK, coded(sentence(0), sentence(1)), request())
    await store.write(tenant, coded(replace(facts[7], target="newer")), request())


async def keys(redis: Redis, tenant: str) -> set[bytes | str]:
    return set(await redis.keys(f"larimar:{{{tenant}}}:*"))


@pytest.mark.parametrize("policy", ["grow", "fixed"])
async def test_all_is_kept_and_answers_are_those_of_a_fresh_tenant(
    store: RedisStore, new: RedisStore, tenant: str, redis: Redis, policy: Any
) -> None:
    await store.create_tenant(tenant, policy=policy, quota_facts=5000)
    await fill(store, tenant)
    before, used = await everything(store, tenant), await keys(redis, tenant)
    version = (await store.tenant(tenant)).version
    with pytest.raises(errors.CheckpointMismatch):
        await new.memory(tenant)

    state = await reencoded(new, tenant)
    assert (state.status, state.done, state.rows) == ("reencoded", MANY, MANY)
    assert (state.before.version, state.after.version) == (version, version + 1)
    assert await everything(new, tenant) == before
    assert len(await keys(redis, tenant)) == len(used) - 1  # the log begins anew
    for call in (store.memory(tenant), store.write(tenant, [fact(1)], request())):
        with pytest.raises(errors.CheckpointMismatch):
            await call

    fresh = f"{tenant}-fresh"
    await new.create_tenant(fresh, policy=policy)
    await fill(new, fresh, new=True)
    at = np.stack([recode(one).address for one in contents()])
    queries = np.concatenate([spread(20, NEW.address_dim), at])
    moved, made = await new.memory(tenant), await new.memory(fresh)
    one, other = moved.read(queries), made.read(queries)
    if policy == "grow":
        assert_same(one, other)
    assert one.ids == other.ids
    assert one.latent == pytest.approx(other.latent, abs=1e-6)
    assert await timeless_bytes(new, tenant) == await timeless_bytes(new, fresh)


async def test_life_goes_on_afterwards(store: RedisStore, new: RedisStore, tenant: str) -> None:
    """Cues, ids, expiry, documents, free slots and outcomes are where they were."""
    await fill(store, tenant)
    soon = replace(fact(8000), expires_at=time.time() + 0.2)
    once = request("c:once", "digest")
    written = await store.write(tenant, [soon], once)
    await reencoded(new, tenant)
    again = await new.write(tenant, [recode(soon)], once)
    assert again == replace(written, replayed=True)
    replaced = await new.write(tenant, [recode(fact(9)), recode(fact(8001))], request())
    assert [row.status for row in replaced.results] == ["replaced", "written"]
    erased = await new.forget(tenant, request(), ids=["mine"], cues=[fact(10).cue])
    assert [row.status for row in erased.results] == ["erased", "erased"]
    book = await new.document(tenant, "book")
    await new.write_chunks(tenant, book, [recode(sentence(2))], request())
    assert (await new.document(tenant, "book")).status == "complete"
    assert [_ async for _ in new.forget_document(tenant, "book", request())]
    assert (await new.tenant(tenant)).chunks == 0
    await asyncio.sleep(0.3)
    swept = [change async for change in new.sweep(tenant)]
    assert [row.id for change in swept for row in change.results] == [written.results[0].id]
    records = (await everything(new, tenant))[1]
    assert len({record.id for record in records}) == len(records) == MANY - 3


async def test_what_is_acknowledged_meanwhile_is_there(
    store: RedisStore, new: RedisStore, tenant: str
) -> None:
    """A writer goes on until it is told to go; a change is refused or carried over, never lost."""
    await fill(store, tenant)
    expected = {record.id: record.target for record in (await everything(store, tenant))[1]}
    started = asyncio.Event()

    async def slow(records: Sequence[Record]) -> list[tuple[Float32, Float32]]:
        started.set()
        await asyncio.sleep(0.02)
        return await encode(records)

    async def keep_writing(moving: asyncio.Task[Reencoded]) -> int:
        n = 0
        while not moving.done():
            one = replace(fact(n % MANY), target=f"then {n}", id=f"id-{n % 50}")
            try:
                change = await store.write(tenant, [one], request())
                (row,) = change.results
                expected.pop(row.replaced_id or "", None)
                expected[row.id] = one.target
                gone = await store.forget(tenant, request(), ids=[f"id-{(n + 25) % 50}"])
            except errors.CheckpointMismatch:
                break
            for row in gone.results:
                if row.status == "erased":
                    del expected[row.id]
            n += 1
        return n

    moving = asyncio.create_task(reencoded(new, tenant, slow))
    await started.wait()
    changes = await keep_writing(moving)
    assert (await moving).status == "reencoded"
    assert changes > 10
    found = {record.id: record.target for record in (await everything(new, tenant))[1]}
    assert found == expected
    view = await new.view(tenant)
    stored = view.latents()
    assert stored.keys() == expected.keys()
    for record in (await everything(new, tenant))[1]:
        assert stored[record.id] == pytest.approx(vectors(record)[1], abs=2e-3), record


@pytest.mark.parametrize("batch", [1, 4, 10])
async def test_cut_short_the_tenant_is_as_it_was(
    store: RedisStore, new: RedisStore, tenant: str, redis: Redis, batch: int
) -> None:
    await fill(store, tenant)
    before, used = await everything(store, tenant), await keys(redis, tenant)
    calls = 0

    async def failing(records: Sequence[Record]) -> list[tuple[Float32, Float32]]:
        nonlocal calls
        calls += 1
        if calls == batch:
            raise RuntimeError
        return await encode(records)

    with pytest.raises(RuntimeError):
        await reencoded(new, tenant, failing)
    assert await everything(store, tenant) == before
    assert await keys(redis, tenant) == used
    await store.memory(tenant)
    assert (await reencoded(new, tenant)).status == "reencoded"


async def test_after_a_killed_process_the_next_try_cleans_up(
    store: RedisStore, new: RedisStore, tenant: str, redis: Redis
) -> None:
    await fill(store, tenant)
    used = await keys(redis, tenant)
    killed = new.reencode(tenant, encode)
    await anext(killed)  # and never another step
    assert len(await keys(redis, tenant)) > len(used)
    assert (await reencoded(new, tenant)).status == "reencoded"
    assert len(await keys(redis, tenant)) == len(used) - 1
    with pytest.raises(errors.VersionConflict):  # it was not dead after all
        await anext(killed)
    assert (await reencoded(new, tenant)).status == "current"


async def test_an_import_wins_over_a_reencoding(
    store: RedisStore, new: RedisStore, tenant: str, other_tenant: str, tmp_path: Path
) -> None:
    await fill(store, tenant)
    await store.write(other_tenant, [fact(1)], request())
    path = await save(store, other_tenant, tmp_path / "one.safetensors")
    moving = new.reencode(tenant, encode)
    await anext(moving)
    await store.import_snapshot(tenant, path, request())
    with pytest.raises(errors.VersionConflict):
        async for _ in moving:
            pass
    assert (await store.tenant(tenant)).facts == 1


async def test_a_fence_that_nobody_takes_down_falls(
    store: RedisStore, new: RedisStore, tenant: str, redis: Redis
) -> None:
    await store.write(tenant, [fact(1)], request())
    await redis.hset(f"larimar:{{{tenant}}}:meta", "fence", time.time() + 1)
    assert (await store.write(tenant, [fact(2)], request())).version == 2


async def test_an_empty_tenant_stays_one(store: RedisStore, new: RedisStore, tenant: str) -> None:
    assert (await reencoded(new, tenant)).rows == 0
    info, _ = await new.create_tenant(tenant, policy="fixed")  # nothing was written: still open
    assert (info.policy, info.version, info.fingerprint) == ("fixed", 0, "new")
    await new.write(tenant, [recode(fact(1))], request())
    assert (await new.memory(tenant)).read(recode(fact(1)).address[None]).ids[0]


async def test_a_damaged_page_is_named_and_nothing_moves(
    store: RedisStore, new: RedisStore, tenant: str, redis: Redis
) -> None:
    await fill(store, tenant)
    [page] = await redis.keys(f"larimar:{{{tenant}}}:*:page:1")
    await redis.setrange(page, 500, b"damage")
    with pytest.raises(errors.PageCorrupt, match="page 1"):
        await reencoded(new, tenant)
    assert (await store.tenant(tenant)).fingerprint == "test"
    with pytest.raises(errors.TenantNotFound):
        await reencoded(new, "nobody")
