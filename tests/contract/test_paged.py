"""A tenant larger than the cache: the same answers, page by page, and nothing kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store import errors
from memory_store.kernel import TenantView, read_many
from memory_store.paged import PagedView
from memory_store.pages import K
from memory_store.redis_store import RedisStore
from service.engine.batcher import Larimar
from service.model.decoder import Decoder
from service.model.larimar import LarimarModel, Reading
from tests.contract.conftest import request as new_request
from tests.unit.engine.test_forward import decoder
from tests.unit.memory_store.facts import SMALL, assert_same, clustered, facts_at, near

__all__ = ["decoder"]
pytestmark = pytest.mark.anyio
FACTS = facts_at(clustered(3 * K, 16, 0.9), SMALL)
QUERIES = near(np.stack([f.address for f in FACTS[::200]]), amount=0.1)


@pytest.fixture(params=["grow", "fixed"])
async def large(store: RedisStore, tenant: str, request: pytest.FixtureRequest) -> str:
    await store.create_tenant(tenant, policy=request.param)
    for start in range(0, len(FACTS), K):
        await store.write(tenant, FACTS[start : start + K], new_request())
    await store.forget(tenant, new_request(), cues=[FACTS[200].cue])
    return tenant


async def test_it_answers_as_one_that_is_cached(
    store: RedisStore, tight: RedisStore, large: str
) -> None:
    paged, whole = await tight.memory(large), await store.memory(large)
    assert isinstance(paged, PagedView)
    assert paged.info == whole.info
    assert_same(await asyncio.to_thread(paged.read, QUERIES), whole.read(QUERIES))
    assert list(tight._cache._views) == []


async def test_the_event_loop_is_never_blocked_by_it(tight: RedisStore, large: str) -> None:
    paged = await tight.memory(large)
    with pytest.raises(RuntimeError, match="another thread"):
        paged.read(QUERIES)


async def test_what_was_erased_meanwhile_is_left_out(
    store: RedisStore, tight: RedisStore, large: str
) -> None:
    """The view is older than the erase; it reads what is there."""
    paged = await tight.memory(large)
    before = await asyncio.to_thread(paged.read, QUERIES)
    await store.forget(large, new_request(), ids=[before.ids[0][0]])
    after = await asyncio.to_thread(paged.read, QUERIES)
    assert before.ids[0][0] not in after.ids[0]


async def test_a_flipped_byte_names_the_page(tight: RedisStore, large: str, valkey: str) -> None:
    paged = await tight.memory(large)
    async with Redis.from_url(valkey) as client:
        await client.setrange(f"larimar:{{{large}}}:{paged.info.epoch}:page:1", 700, b"\x17\x99")
    with pytest.raises(errors.PageCorrupt, match="page 1"):
        await asyncio.to_thread(paged.read, QUERIES)


async def test_redis_that_does_not_answer_is_away(
    tight: RedisStore, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    paged = await tight.memory(large)
    monkeypatch.setattr(PagedView, "_fetch", hangs)
    monkeypatch.setattr("memory_store.paged.SECONDS", 0.01)
    with pytest.raises(errors.StoreUnavailable):
        await asyncio.to_thread(paged.read, QUERIES)


class Model:
    """What of the real model a read needs; every query is the same."""

    max_fact_tokens = 8

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def read(self, _: object, views: Sequence[TenantView], __: object) -> list[Reading]:
        found = read_many(views, [QUERIES[:1]] * len(views))
        return [Reading(ids=r.ids[0], weights=tuple(r.weights[0]),
                        similarities=tuple(r.cosines[0])) for r in found]  # fmt: skip


async def test_who_reads_with_it_is_answered_when_it_fails(
    store: RedisStore, tight: RedisStore, large: str, valkey: str, decoder: Decoder
) -> None:
    """Four calls of one batch of the device thread, two of them by way of a damaged page."""
    whole, paged = await store.memory(large), await tight.memory(large)
    async with Redis.from_url(valkey) as client:
        await client.setrange(f"larimar:{{{large}}}:{paged.info.epoch}:page:1", 700, b"\x17\x99")
    engine = Larimar(cast(LarimarModel, Model(decoder)))
    calls = [asyncio.ensure_future(engine.read(view, ["w5"])) for view in (whole, paged) * 2]
    await asyncio.sleep(0)
    engine._thread.start()
    first, bad, second, worse = await asyncio.gather(*calls, return_exceptions=True)
    assert first == second
    assert [type(end) for end in (first, bad, worse)] == [list, *[errors.PageCorrupt] * 2]
    assert engine.alive
    await engine.close()
    assert engine.workload.pending == 0


async def test_it_is_exported_whole(store: RedisStore, tight: RedisStore, large: str) -> None:
    files = [
        b"".join([piece async for piece in each.export_snapshot(large)]) for each in (store, tight)
    ]
    assert files[0] == files[1]
