"""Forget = never written: a memory's answers are those of a fresh tenant given the survivors."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store.redis_store import RedisStore, connect
from memory_store.rows import identity
from memory_store.store import Fact, Float32
from tests.contract.conftest import request
from tests.unit.memory_store.facts import SMALL, assert_same, clustered, fact, near

ADDRESSES = clustered(12, 16, 0.95)


@dataclass
class Model:
    """What should be there: facts by id, in the order of their last writing."""

    facts: dict[str, Fact] = field(default_factory=dict)

    def write(self, new: Fact) -> None:
        same_cue = [id for id, old in self.facts.items() if old.cue == new.cue]
        for id in {identity(new), *same_cue}:
            self.facts.pop(id, None)
        self.facts[identity(new)] = new

    def forget(self, cue: str) -> None:
        for id in [id for id, old in self.facts.items() if old.cue == cue]:
            del self.facts[id]


def made(number: int, version: int, id: str | None) -> Fact:
    """A fact at one of twelve near addresses; its latent tells its version."""
    latent = np.full(8, version + 1, np.float32)
    return fact(number, address=ADDRESSES[number], latent=latent, id=id)


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.lists(
                st.tuples(st.integers(0, 11), st.sampled_from([None, "a", "b"])),
                min_size=1,
                max_size=6,
            ),
        ),
        st.tuples(st.just("forget"), st.lists(st.integers(0, 11), min_size=1, max_size=4)),
    ),
    min_size=1,
    max_size=8,
)
Steps = list[tuple[str, list[tuple[int, str | None]] | list[int]]]


async def run(url: str, script: Steps) -> None:
    store, model = RedisStore(connect(url), SMALL), Model()
    try:
        await store.create_tenant("worn")
        for version, (verb, items) in enumerate(script):
            if verb == "write":
                facts = [made(n, version, id) for n, id in items]  # type: ignore[misc]
                await store.write("worn", facts, request())
                for new in facts:
                    model.write(new)
            else:
                cues = [fact(int(n)).cue for n in items]  # type: ignore[arg-type]
                await store.forget("worn", request(), cues=cues)
                for cue in cues:
                    model.forget(cue)
        await store.create_tenant("fresh")
        if model.facts:
            await store.write("fresh", list(model.facts.values()), request())
        await compare(store, queries())
    finally:
        await store.delete_tenant("worn")
        await store.delete_tenant("fresh")
        await store.close()


def queries() -> Float32:
    return np.concatenate([ADDRESSES, near(ADDRESSES, amount=0.2), near(ADDRESSES, amount=0.02)])


async def compare(store: RedisStore, asked: Float32) -> None:
    worn, fresh = await store.view("worn"), await store.view("fresh")
    assert_same(worn.read(asked), fresh.read(asked))
    counts = [(v.info.facts, v.info.bytes > 0) for v in (worn, fresh)]
    assert counts[0] == counts[1]


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(script=steps)
def test_any_history_reads_like_its_survivors(valkey: str, script: Steps) -> None:
    asyncio.run(run(valkey, script))


@pytest.mark.anyio
async def test_replacing_leaves_only_the_newest(store: RedisStore, tenant: str) -> None:
    for version in range(5):
        await store.write(tenant, [made(3, version, None)], request())
    readout = (await store.memory(tenant)).read(ADDRESSES[3:4])
    assert len(readout.ids[0]) == 1
    assert readout.latent[0] == pytest.approx(5.0, rel=0.01)
