"""A tenant under policy `fixed`, through the store."""

from __future__ import annotations

import numpy as np
import pytest
from redis.asyncio import Redis

from memory_store import errors
from memory_store.redis_store import RedisStore
from tests.contract.conftest import MakeStore, request
from tests.unit.memory_store.facts import fact

pytestmark = pytest.mark.anyio
ADDRESSES = np.stack([fact(n).address for n in range(6)])


@pytest.fixture
async def fixed_tenant(store: RedisStore, tenant: str) -> str:
    await store.memory(tenant)  # a worker that has seen it under `grow`
    await store.create_tenant(tenant, policy="fixed")
    return tenant


async def test_write_replace_forget(
    make_store: MakeStore, store: RedisStore, fixed_tenant: str
) -> None:
    """Every worker reads what a fresh tenant with the survivors reads."""
    reader = make_store()
    await store.write(fixed_tenant, [fact(n) for n in range(4)], request())
    await reader.memory(fixed_tenant)
    await store.write(fixed_tenant, [fact(1, latent=fact(9).latent), fact(4)], request())
    await store.forget(fixed_tenant, request(), cues=[fact(0).cue])
    rolled, loaded = await reader.view(fixed_tenant), await make_store().view(fixed_tenant)
    for view in (rolled, loaded, await store.memory(fixed_tenant)):
        readout = view.read(ADDRESSES[1:5])
        expected = np.stack([fact(n).latent for n in (9, 2, 3, 4)])
        assert readout.latent == pytest.approx(expected, abs=0.02)
        assert view.read(ADDRESSES).ids[0] != rolled.read(ADDRESSES).ids[1]
    assert rolled.fixed is not None
    assert loaded.fixed is not None
    assert np.array_equal(rolled.fixed.gram, loaded.fixed.gram)


async def test_forgetting_everything_leaves_an_empty_memory(
    store: RedisStore, fixed_tenant: str
) -> None:
    await store.write(fixed_tenant, [fact(n) for n in range(6)], request())
    await store.forget(fixed_tenant, request(), cues=[fact(n).cue for n in range(6)])
    view = await store.view(fixed_tenant)
    assert view.read(ADDRESSES).ids == ((),) * 6
    assert view.fixed is not None
    assert np.abs(view.fixed.cross).max() < 1e-12
    assert np.abs(view.fixed.gram - 1e-3 * np.eye(512)).max() < 1e-12


async def test_two_writers_do_not_undo_one_another(
    make_store: MakeStore, store: RedisStore, fixed_tenant: str
) -> None:
    one, two = make_store(), make_store()
    for n in range(6):
        await (one, two)[n % 2].write(fixed_tenant, [fact(n)], request())
    readout = (await store.memory(fixed_tenant)).read(ADDRESSES)
    expected = np.stack([fact(n).latent for n in range(6)])
    assert readout.latent == pytest.approx(expected, abs=0.02)


async def test_a_flipped_byte_is_noticed(
    make_store: MakeStore, store: RedisStore, fixed_tenant: str, valkey: str
) -> None:
    await store.write(fixed_tenant, [fact(1)], request())
    epoch = (await store.tenant(fixed_tenant)).epoch
    async with Redis.from_url(valkey) as client:
        await client.setrange(f"larimar:{{{fixed_tenant}}}:{epoch}:fixed", 5000, b"\x17")
    with pytest.raises(errors.PageCorrupt, match="page fixed"):
        await make_store().memory(fixed_tenant)


async def test_deleting_it_leaves_no_key(store: RedisStore, fixed_tenant: str, valkey: str) -> None:
    await store.write(fixed_tenant, [fact(1)], request())
    await store.delete_tenant(fixed_tenant)
    async with Redis.from_url(valkey) as client:
        assert [key async for key in client.scan_iter(f"*{{{fixed_tenant}}}*")] == []
