"""The view of a worker: current, equal to one loaded whole, and the same on every worker."""

from __future__ import annotations

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store.pages import K
from tests.contract.conftest import MakeStore, request
from tests.unit.memory_store.facts import SMALL, assert_same, clustered, fact, facts_at, near

pytestmark = pytest.mark.anyio


async def test_a_view_behind_catches_up_with_the_rows_that_moved(
    make_store: MakeStore, tenant: str
) -> None:
    """Equal to one loaded whole, and pages that did not change are kept."""
    writer, reader = make_store(), make_store()
    facts = facts_at(clustered(2 * K, 16, 0.5), SMALL)
    for start in range(0, 2 * K, 512):
        await writer.write(tenant, facts[start : start + 512], request())
    before = await reader.view(tenant)
    await writer.forget(tenant, request(), cues=[facts[600].cue])
    await writer.write(tenant, [fact(1, cue=facts[601].cue)], request())
    after, whole = await reader.view(tenant), await make_store().view(tenant)
    assert after.pages[0] is before.pages[0]
    assert after.pages[1] is not before.pages[1]
    for mine, fresh in zip(after.pages, whole.pages, strict=True):
        assert np.array_equal(mine.rows, fresh.rows)
    assert before.read(facts[600].address[None]).cosines[0][0] > 0.999  # views do not change


@pytest.mark.parametrize("anew", [False, True])
async def test_a_view_is_current_whatever_happens_while_it_is_loaded(
    make_store: MakeStore, tenant: str, anew: bool
) -> None:
    """A row of a page is replaced once the page was fetched; or all pages go."""
    writer, reader = make_store(), make_store()
    facts = facts_at(clustered(2 * K + 50, 16, 0.5), SMALL)
    for start in range(0, len(facts), K):
        await writer.write(tenant, facts[start : start + K], request())
    get, moving = reader._cache._get, [fact(n, cue=facts[n].cue) for n in (3, K + 3)]

    async def overtaken(key: str) -> bytes | None:
        data = await get(key)
        if anew and len(moving) == 2:
            await writer.delete_tenant(tenant)
            await writer.create_tenant(tenant)
        if moving:
            await writer.write(tenant, [moving.pop(0)], request())
        return data

    reader._cache._get = overtaken  # type: ignore[method-assign]
    loaded, later = await reader.view(tenant), await make_store().view(tenant)
    assert (loaded.info, moving) == (later.info, [])
    for mine, fresh in zip(loaded.pages, later.pages, strict=True):
        assert np.array_equal(mine.rows, fresh.rows)


async def test_a_log_that_is_too_short_means_loading_again(
    make_store: MakeStore, tenant: str, valkey: str
) -> None:
    writer, reader = make_store(), make_store()
    await writer.write(tenant, [fact(1)], request())
    epoch = (await reader.memory(tenant)).info.epoch
    for n in range(2, 5):
        await writer.write(tenant, [fact(n)], request())
    async with Redis.from_url(valkey) as client:
        await client.ltrim(f"larimar:{{{tenant}}}:{epoch}:log", -1, -1)
    assert len((await reader.view(tenant)).latents()) == 4


async def test_a_read_is_the_same_on_every_worker(make_store: MakeStore, tenant: str) -> None:
    facts = facts_at(clustered(100, 16, 0.9), SMALL)
    await make_store().write(tenant, facts, request())
    queries = near(np.stack([f.address for f in facts[:10]]))
    assert_same(*[(await make_store().memory(tenant)).read(queries) for _ in range(2)])
