"""One thread, many callers: none waits for all of another's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from memory_store.view import View
from service.engine.batcher import BUDGET, Larimar
from service.engine.protocol import FactText, Generated, GenerateItem, Sampling, ScoreItem
from service.model.larimar import LarimarModel
from tests.model.calls import PROMPT, named, said
from tests.model.conftest import Pairs

pytestmark = pytest.mark.anyio


async def test_a_noisy_tenant_does_not_starve_another(
    model: LarimarModel, remember: Callable[[Pairs], View]
) -> None:
    """Four places, 24 rows of one tenant, then four of another: beside the four that ran already,
    the first gets about as many as the second, where first come first served would give it 20."""
    engine = Larimar(model, rows=4, queue_size=64)
    await engine.start()
    noisy, quiet = (named(remember([(PROMPT, "Lyon")]), name) for name in ("noisy", "quiet"))
    ended: list[str] = []

    async def rows(memory: View, count: int) -> None:
        item = GenerateItem(PROMPT, memory, "never", Sampling(6))
        async for event in engine.generate([item] * count):
            if isinstance(event, Generated):
                ended.append(memory.info.name)

    many = asyncio.create_task(rows(noisy, 24))
    while engine.workload.decoding < 4:  # noqa: ASYNC110 - the queue is full of one tenant's
        await asyncio.sleep(0.001)
    before = len(ended)
    await rows(quiet, 4)
    since = ended[before : len(ended) - ended[::-1].index("quiet")]
    assert since.count("noisy") / since.count("quiet") <= 2.5
    await many
    await engine.close()


async def test_a_call_of_many_facts_lets_one_fact_pass(engine: Larimar) -> None:
    facts = [FactText(text=f"Fact number {n} of very many") for n in range(300)]
    many = asyncio.create_task(engine.encode(facts, "bulk"))
    await asyncio.sleep(0)
    (one,) = await engine.encode([FactText(text="A single fact")], "single")
    assert not many.done()
    codes = await many
    assert [code.cue for code in codes] == [fact.text for fact in facts]
    (again,) = await engine.encode(facts[7:8])
    assert abs(again.latent - codes[7].latent).max() < 1e-4
    assert abs(again.address - codes[7].address).max() < 1e-5
    assert one.cue == "A single fact"


async def test_a_long_prompt_and_bulk_work_stall_no_stream(engine: Larimar) -> None:
    """Between two tokens of a running row the thread does one chunk and one batch at most."""
    chunks = 1500 // engine._batch.forward.chunk
    stream = engine.generate([GenerateItem(PROMPT, None, "never", Sampling(200))])
    await anext(stream)
    long = GenerateItem("word " * 1500, None, "never", Sampling(1))
    facts = [FactText(text=f"Fact number {n} of very many") for n in range(300)]
    work = asyncio.gather(said(engine, long), engine.encode(facts))
    tokens = 0
    async for _ in stream:
        tokens += 1
        if work.done():
            break
    await work
    await stream.aclose()  # type: ignore[attr-defined]
    assert tokens >= chunks


async def test_a_long_item_to_score_stalls_no_stream(
    model: LarimarModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGET, model.decoder.device.type, 64)
    engine = Larimar(model)
    await engine.start()
    stream = engine.generate([GenerateItem(PROMPT, None, "never", Sampling(200))])
    await anext(stream)
    item = ScoreItem("word " * 640, ("Lyon", "Paris"))
    work = asyncio.ensure_future(engine.score(None, [item], "never"))
    tokens = 0
    async for _ in stream:
        tokens += 1
        if work.done():
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert len((await work)[0].targets) == 2
    assert tokens >= 640 // 64
    await engine.close()
