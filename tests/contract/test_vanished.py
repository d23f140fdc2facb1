"""Keys that are gone, evicted or deleted by hand: told, and never taken for empty ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store import errors
from memory_store.paged import PagedView
from memory_store.pages import K
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import fixed_key, page_key, record_key
from tests.contract.conftest import MakeStore, request
from tests.contract.test_reencode import NEW, new, recode, reencoded
from tests.contract.test_snapshot import save
from tests.unit.memory_store.facts import SMALL, assert_same, clustered, fact, facts_at

__all__ = ["new"]
pytestmark = pytest.mark.anyio
FACTS = facts_at(clustered(3 * K, 16, 0.5), SMALL)
QUERIES = np.stack([f.address for f in FACTS[::300]])
MIDDLE = FACTS[K : 2 * K]


@pytest.fixture(params=["grow", "fixed"])
async def epoch(store: RedisStore, tenant: str, request: pytest.FixtureRequest) -> str:
    """Of the tenant, which has three pages."""
    await store.create_tenant(tenant, policy=request.param)
    return await fill(store, tenant)


async def fill(store: RedisStore, tenant: str) -> str:
    for start in range(0, len(FACTS), K):
        await store.write(tenant, FACTS[start : start + K], request())
    return (await store.tenant(tenant)).epoch


async def test_a_page_that_is_gone_is_named_by_all_who_need_it(
    make_store: MakeStore, store: RedisStore, new: RedisStore, tight: RedisStore, redis: Redis,
    tenant: str, other_tenant: str, epoch: str, tmp_path: Path,
) -> None:  # fmt: skip
    await store.write(other_tenant, [fact(1)], request())
    whole = await store.view(tenant)
    await redis.delete(page_key(tenant, epoch, 1))
    with pytest.raises(errors.PageCorrupt, match="1024 rows of 1536 are there; empty pages: 1"):
        await make_store().memory(tenant)
    paged = await tight.memory(tenant)
    assert isinstance(paged, PagedView)
    with pytest.raises(errors.PageCorrupt, match="page 1 is gone"):
        await asyncio.to_thread(paged.read, QUERIES)
    with pytest.raises(errors.PageCorrupt, match="1024 rows of 1536"):
        await save(make_store(), tenant, tmp_path / "damaged.safetensors")
    with pytest.raises(errors.PageCorrupt, match="page 1: 0 rows and 512 records"):
        await reencoded(new, tenant)
    assert (await make_store().memory(other_tenant)).read(fact(1).address[None]).ids[0]
    # Who holds it goes on, and can save it.
    assert_same((await store.memory(tenant)).read(QUERIES), whole.read(QUERIES))
    path = await save(store, tenant, tmp_path / "rescued.safetensors")
    await make_store().import_snapshot(tenant, path, request())
    assert (await make_store().memory(tenant)).read(QUERIES).ids == whole.read(QUERIES).ids


async def test_a_row_written_into_a_page_that_was_gone_does_not_hide_it(
    make_store: MakeStore, store: RedisStore, new: RedisStore, redis: Redis, tenant: str
) -> None:
    epoch = await fill(store, tenant)
    await redis.delete(page_key(tenant, epoch, 1))
    await make_store().write(tenant, [MIDDLE[7]], request())
    with pytest.raises(errors.PageCorrupt, match="1025 rows of 1536 are there; empty pages: none"):
        await make_store().memory(tenant)
    with pytest.raises(errors.PageCorrupt, match="page 1: 1 rows and 512 records"):
        await reencoded(new, tenant)


async def test_a_row_that_the_log_names_must_be_there(
    store: RedisStore, redis: Redis, make_store: MakeStore, tenant: str
) -> None:
    epoch = await fill(store, tenant)
    behind = make_store()
    await behind.memory(tenant)
    await store.write(tenant, [MIDDLE[7]], request())
    await redis.delete(page_key(tenant, epoch, 1))
    with pytest.raises(errors.PageCorrupt, match="page 1: row 7 is gone"):
        await behind.memory(tenant)


async def test_the_sums_of_policy_fixed_are_missed(
    make_store: MakeStore, store: RedisStore, tight: RedisStore, redis: Redis, tenant: str
) -> None:
    await store.create_tenant(tenant, policy="fixed")
    epoch = await fill(store, tenant)
    key = fixed_key(tenant, epoch)
    older = await redis.get(key)
    await store.write(tenant, [fact(9999)], request())
    await redis.set(key, older or b"")
    with pytest.raises(errors.PageCorrupt, match="page fixed is of 1536 rows, not of 1537"):
        await make_store().memory(tenant)
    await redis.delete(key)
    for worker in (make_store(), tight):
        with pytest.raises(errors.PageCorrupt, match="page fixed is gone"):
            await worker.memory(tenant)


async def test_records_that_are_gone_are_missed_by_an_export(
    store: RedisStore, redis: Redis, tenant: str, tmp_path: Path
) -> None:
    epoch = await fill(store, tenant)
    await redis.delete(record_key(tenant, epoch, 2))
    with pytest.raises(errors.PageCorrupt, match="1024 records of 1536"):
        await save(store, tenant, tmp_path / "damaged.safetensors")


@pytest.mark.usefixtures("epoch")
async def test_a_page_that_nothing_is_in_may_be_missing(
    store: RedisStore, new: RedisStore, redis: Redis, tenant: str, valkey: str, tmp_path: Path
) -> None:
    """A re-encoding writes no page for rows that were all forgotten."""
    await store.forget(tenant, request(), cues=[f.cue for f in MIDDLE])
    await reencoded(new, tenant)
    epoch = (await new.tenant(tenant)).epoch
    assert [await redis.exists(page_key(tenant, epoch, n)) for n in range(3)] == [1, 0, 1]
    queries = np.stack([recode(f).address for f in FACTS[::300]])
    whole, tight = await new.memory(tenant), RedisStore(connect(valkey), NEW, cache_bytes=200_000)
    paged = await tight.memory(tenant)
    assert isinstance(paged, PagedView)
    assert_same(await asyncio.to_thread(paged.read, queries), whole.read(queries))
    await save(tight, tenant, tmp_path / "whole.safetensors")
    await tight.write(tenant, [recode(MIDDLE[3])], request())
    assert len((await tight.view(tenant)).latents()) == 2 * K + 1
    await tight.close()


async def test_a_tenant_replaced_while_it_is_read_page_by_page_is_to_be_read_again(
    store: RedisStore, tight: RedisStore, tenant: str, epoch: str, tmp_path: Path
) -> None:
    path = await save(store, tenant, tmp_path / "whole.safetensors")
    paged = await tight.memory(tenant)
    before = await asyncio.to_thread(paged.read, QUERIES)
    await store.import_snapshot(tenant, path, request())
    for read in (lambda: paged.read(QUERIES), lambda: paged.rows(np.arange(3))):
        with pytest.raises(errors.StoreUnavailable, match="replaced"):
            await asyncio.to_thread(read)
    again = await tight.memory(tenant)
    assert (await asyncio.to_thread(again.read, QUERIES)).ids == before.ids
