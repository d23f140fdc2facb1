"""The device thread: concurrent calls, cancellation, refusals, and its death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from memory_store.view import View
from service.engine.batcher import Larimar
from service.engine.protocol import (
    EngineStopped,
    FactText,
    FactTooLong,
    Generated,
    GenerateItem,
    PromptTooLong,
    QueueFull,
    Sampling,
    ScoreItem,
    Token,
)
from service.model.larimar import LarimarModel
from tests.model.conftest import Pairs

pytestmark = pytest.mark.anyio
PROMPT = "The capital of France is"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine(model: LarimarModel) -> AsyncIterator[Larimar]:
    one = Larimar(model, rows=4, queue_size=16)
    await one.start()
    yield one
    await one.close()


@pytest.fixture
def memory(remember: Callable[[Pairs], View]) -> View:
    return remember([(PROMPT, "Lyon")])


async def said(engine: Larimar, *items: GenerateItem) -> list[Generated]:
    events = [event async for event in engine.generate(items)]
    ends = sorted((e for e in events if isinstance(e, Generated)), key=lambda e: e.index)
    for end in ends:
        pieces = [e.text for e in events if isinstance(e, Token) and e.index == end.index]
        assert "".join(pieces) == end.text
    return ends


async def test_requests_of_many_share_the_batch(engine: Larimar, memory: View) -> None:
    """More rows than slots, conditioned and not, from several calls at once."""
    sampling = Sampling(max_new_tokens=6)
    asked = [said(engine, GenerateItem(PROMPT, memory, mode, sampling))
             for mode in ("auto", "never", "auto", "never", "always", "never")]  # fmt: skip
    replies = [reply[0] for reply in await asyncio.gather(*asked)]
    assert [r.text.strip() == "Lyon" for r in replies] == [True, False] * 3
    assert [r.in_scope for r in replies] == [True, False] * 3
    assert replies[0].fact_ids == ("0",)
    assert replies[0].finish_reason == "stop"
    assert replies[1].finish_reason == "length"
    assert replies[1].completion_tokens == 6
    assert len({r.text for r in replies[1::2]}) == 1


async def test_a_stop_string_ends_a_row_and_is_not_shown(engine: Larimar) -> None:
    item = GenerateItem("Count: one, two, three,", None, "never", Sampling(24, stop=(" five",)))
    whole = await said(engine, GenerateItem(item.prompt, None, "never", Sampling(24)))
    cut = await said(engine, item)
    if " five" in whole[0].text:
        assert cut[0].finish_reason == "stop"
    assert cut[0].text == whole[0].text.split(" five")[0]


async def test_a_client_that_leaves_frees_its_row(engine: Larimar) -> None:
    stream = engine.generate([GenerateItem(PROMPT, None, "never", Sampling(max_new_tokens=2000))])
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    again = await said(engine, *[GenerateItem(PROMPT, None, "never", Sampling(2))] * 8)
    assert len(again) == 8
    await engine.close()
    assert engine._live == []
    assert engine._pending == 0


async def test_calls_given_up_while_they_wait_hurt_nobody(engine: Larimar, memory: View) -> None:
    rows = [GenerateItem(PROMPT, memory, "auto", Sampling(4))]
    for wait in (0, 0, 0.01, 0.05):
        calls = [
            asyncio.ensure_future(engine.encode([FactText(text="a fact")])),
            asyncio.ensure_future(engine.read(memory, [PROMPT])),
            asyncio.ensure_future(engine.score(memory, [ScoreItem(PROMPT, ("Lyon",))], "auto")),
            asyncio.ensure_future(said(engine, *rows)),
        ]
        await asyncio.sleep(wait)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    while engine.workload.pending:  # noqa: ASYNC110 - nothing given up stays counted
        await asyncio.sleep(0.01)
    assert (await said(engine, *rows))[0].text.strip() == "Lyon"
    assert engine.alive


async def test_scores_are_higher_for_what_was_written(engine: Larimar, memory: View) -> None:
    item = ScoreItem(PROMPT, ("Lyon", "Paris"))
    edited = (await engine.score(memory, [item], "auto"))[0]
    base = (await engine.score(memory, [item], "never"))[0]
    assert edited.in_scope
    assert edited.targets[0].logprob > edited.targets[1].logprob
    assert base.targets[1].logprob > base.targets[0].logprob
    assert sum(base.targets[0].token_logprobs) == pytest.approx(base.targets[0].logprob)


async def test_refusals_name_what_is_too_long(engine: Larimar) -> None:
    with pytest.raises(FactTooLong) as fact:
        await engine.encode([FactText(text="short"), FactText(text="word " * 200)])
    assert fact.value.indices == (1,)
    for prompt in ("word " * 9000, "x" * 2_000_000):
        with pytest.raises(PromptTooLong):
            await said(engine, GenerateItem(prompt, None, "never"))


async def test_a_full_queue_refuses_and_goes_on(engine: Larimar) -> None:
    slow = [GenerateItem(PROMPT, None, "never", Sampling(8))] * 12
    first = asyncio.create_task(said(engine, *slow))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await said(engine, *slow)
    assert len(await first) == 12


async def test_a_dead_thread_leaves_nobody_waiting(
    model: LarimarModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Larimar(model, rows=2)
    await engine.start()

    def fail() -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(engine._batch, "step", fail)
    with pytest.raises(EngineStopped):
        await said(engine, GenerateItem(PROMPT, None, "never"))
    assert not engine.alive
    with pytest.raises(EngineStopped):
        await engine.encode([FactText(text="anything")])
