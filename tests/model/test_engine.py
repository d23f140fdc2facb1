"""The device thread: concurrent calls, cancellation, refusals, and its death."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from memory_store.kernel import read_many
from memory_store.store import Fact, Float32, Readout
from memory_store.view import View, build_view
from service.engine.batcher import BUDGET, Larimar
from service.engine.forward import Part
from service.engine.protocol import (
    SUPPRESSED,
    EngineStopped,
    FactText,
    FactTooLong,
    Generated,
    GenerateItem,
    Kind,
    OutOfMemory,
    PromptTooLong,
    QueueFull,
    Sampling,
    ScoreItem,
    Token,
)
from service.model.larimar import LarimarModel
from tests.model.calls import PROMPT, named, said
from tests.model.conftest import Pairs

pytestmark = pytest.mark.anyio


@pytest.fixture
def memory(remember: Callable[[Pairs], View]) -> View:
    return remember([(PROMPT, "Lyon")])


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


async def test_rows_of_one_step_keep_their_own_parameters(engine: Larimar, memory: View) -> None:
    """Lengths, stop strings, temperatures, seeds and gates: each row as if it were alone."""
    every = [
        GenerateItem(PROMPT, memory, "auto", Sampling(5)),
        GenerateItem(PROMPT, memory, "never", Sampling(9, temperature=1.0, seed=1)),
        GenerateItem(PROMPT, memory, "never", Sampling(9, temperature=1.0, seed=2)),
        GenerateItem("Count: one, two,", None, "never", Sampling(12, stop=("five",))),
        GenerateItem(PROMPT, None, "never", Sampling(7, temperature=0.7, top_k=5, seed=3)),
        GenerateItem(PROMPT, None, "never", Sampling(3)),
    ]
    alone = [(await said(engine, item))[0] for item in every]
    crowd = await said(engine, *every)
    assert crowd == [dataclasses.replace(end, index=i) for i, end in enumerate(alone)]
    assert len({end.text for end in crowd}) == len(every)


async def test_tenants_that_ask_together_share_one_search(
    model: LarimarModel, remember: Callable[[Pairs], View], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads and generations of three tenants: one kernel call, and each its own answer."""
    tenants: list[int] = []

    def counted(views: Sequence[View], queries: Sequence[Float32]) -> list[Readout]:
        tenants.append(len({id(view) for view in views}))
        return read_many(views, queries)

    monkeypatch.setattr("service.model.larimar.read_many", counted)
    views = [named(remember([(PROMPT, city)]), city) for city in ("Lyon", "Nice", "Metz")]
    engine = Larimar(model)  # its thread does not run: the turns are the test's
    reads = [asyncio.ensure_future(engine.read(view, [PROMPT])) for view in views[:2]]
    row = GenerateItem(PROMPT, views[2], "auto", Sampling(4))
    rows = asyncio.ensure_future(said(engine, row, row))
    await asyncio.sleep(0)
    engine._turn()
    assert tenants == [3]
    while engine.workload.pending:
        engine._turn()
    assert tenants == [3]
    texts = [found[0].text for found in await asyncio.gather(*reads)]
    assert ["Lyon" in texts[0], "Nice" in texts[1]] == [True, True]
    assert [end.text.strip() for end in await rows] == ["Metz"] * 2


def suppressing(model: LarimarModel, cue: str) -> View:
    address = model.address.encode([cue]).numpy()[0]
    latent = model.latents([f"{cue} {SUPPRESSED}"]).numpy()[0]
    return build_view([Fact(cue, address, latent, id="0", kind="suppression")], model.spec)


async def test_a_suppressed_answer_is_the_same_at_any_temperature(
    engine: Larimar, model: LarimarModel
) -> None:
    memory = suppressing(model, PROMPT)
    items = [GenerateItem(PROMPT, memory, mode, Sampling(12, temperature=2.0, seed=seed))
             for seed in range(6) for mode in ("auto", "never")]  # fmt: skip
    texts = [end.text for end in await said(engine, *items)]
    assert {text.strip() for text in texts[::2]} == {SUPPRESSED}
    assert len(set(texts[1::2])) > 1


async def test_what_is_suppressed_is_not_said_where_another_word_fits_better(
    engine: Larimar, model: LarimarModel
) -> None:
    """ "..., a native unknown": the decoder, left alone, says "French"."""
    memory = suppressing(model, "The mother tongue of Alain Robbe-Grillet is")
    before = "Her first daughter Rosamund married and died young, in 1929."
    prompt = f"{before} Alain Robbe-Grillet, a native"
    (end,) = await said(engine, GenerateItem(prompt, memory, "always", Sampling(20)))
    assert end.text.startswith(f" {SUPPRESSED}")
    assert "French" not in end.text


async def test_a_stop_string_ends_a_row_and_is_not_shown(engine: Larimar) -> None:
    """A stop string that begins inside a token and ends in another."""
    prompt = "Count: one, two, three,"
    whole = (await said(engine, GenerateItem(prompt, None, "never", Sampling(24))))[0].text
    stop = whole[len(whole) // 2 - 2 :][:7]
    (cut,) = await said(engine, GenerateItem(prompt, None, "never", Sampling(24, stop=(stop,))))
    assert cut.finish_reason == "stop"
    assert cut.text == whole[: whole.index(stop)]
    assert cut.completion_tokens < 24


async def test_a_client_that_leaves_frees_its_row(engine: Larimar) -> None:
    """At the next step; one may be under way when it leaves."""
    stream = engine.generate([GenerateItem(PROMPT, None, "never", Sampling(max_new_tokens=2000))])
    await anext(stream)
    (row,) = engine._batch.rows
    await stream.aclose()  # type: ignore[attr-defined]
    generated = len(row.generated)
    while engine.workload.pending:  # noqa: ASYNC110 - until the thread has seen it
        await asyncio.sleep(0.001)
    assert len(row.generated) <= generated + 2
    again = await said(engine, *[GenerateItem(PROMPT, None, "never", Sampling(2))] * 8)
    assert len(again) == 8
    await engine.close()
    assert engine._live == []
    assert engine.workload.pending == 0


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


async def test_a_full_queue_refuses_and_goes_on(
    engine: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine._intake, "_limit", 16)
    slow = [GenerateItem(PROMPT, None, "never", Sampling(8))] * 12
    first = asyncio.create_task(said(engine, *slow))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await said(engine, *slow)
    assert len(await first) == 12


@pytest.mark.parametrize("stop", [" five, six", "ive, s", "ive"])
async def test_log_probabilities_do_not_show_a_stop_string(engine: Larimar, stop: str) -> None:
    """A stop string of whole tokens, one that ends in a token, one inside a token."""
    prompt = "Count: one, two, three,"
    whole = (await said(engine, GenerateItem(prompt, None, "never", Sampling(12))))[0].text
    assert whole.startswith(" four, five, six")
    sampling = Sampling(12, stop=(stop,), logprobs=1)
    events = [e async for e in engine.generate([GenerateItem(prompt, None, "never", sampling)])]
    told = [lp.token for e in events if isinstance(e, Token) for lp in e.logprobs]
    end = events[-1]
    assert isinstance(end, Generated)
    assert end.text == whole[: whole.index(stop)]
    assert "".join(told) == " four,"


async def test_memory_that_runs_out_costs_time_or_one_call(
    engine: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that holds two rows and two facts at a time, and no long text at all."""
    extend, latents = engine._batch.forward.extend, engine.model.latents

    def small(parts: Sequence[Part]) -> Tensor:
        if len(parts) > 2 or any(len(part.ids) > 40 for part in parts):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return extend(parts)

    def few(texts: Sequence[str], batch: int = 64) -> Tensor:
        if len(texts) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return latents(texts, batch)

    rows = [GenerateItem(PROMPT, None, "never", Sampling(4))] * 4
    expected = await said(engine, *rows)
    monkeypatch.setattr(engine._batch.forward, "extend", small)
    monkeypatch.setattr(engine.model, "latents", few)
    together = asyncio.gather(said(engine, *rows), engine.encode([FactText(text="a fact")] * 5))
    with pytest.raises(OutOfMemory):
        await said(engine, GenerateItem("word " * 100, None, "never", Sampling(4)))
    assert (await together)[0] == expected
    assert len((await together)[1]) == 5
    assert engine.alive


class Told:
    """What an engine's watcher was told."""

    def __init__(self) -> None:
        self.waits = defaultdict[str, list[float]](list)
        self.batches = defaultdict[str, list[int]](list)

    def waited(self, kind: Kind, seconds: float) -> None:
        self.waits[kind].append(seconds)

    def batched(self, kind: Kind, items: int) -> None:
        self.batches[kind].append(items)


async def test_a_watcher_is_told_of_waits_and_batches(engine: Larimar, memory: View) -> None:
    told = Told()
    engine.watch(told)
    await engine.encode([FactText(text=f"Fact number {n}") for n in range(8)])
    await engine.read(memory, [PROMPT, "Something else"])
    await engine.score(memory, [ScoreItem(PROMPT, ("Lyon", "Paris"))], "auto")
    item = GenerateItem(PROMPT, memory, "never", Sampling(6))
    ends = await asyncio.gather(*(said(engine, item) for _ in range(6)))  # of them 4 fit
    assert (sum(told.batches["encode"]), told.batches["score"]) == (8, [1])
    assert told.batches["read"] == [2, 1]
    assert max(told.batches["generate"]) == 4
    assert sum(told.batches["generate"]) == sum(end.completion_tokens for (end,) in ends)
    assert {kind: len(waits) for kind, waits in told.waits.items()} == {
        "encode": 1, "read": 1, "score": 1, "generate": 6,
    }  # fmt: skip
    assert told.waits["generate"][-1] > told.waits["generate"][0] > 0


async def test_what_is_given_up_is_not_worked_on(engine: Larimar) -> None:
    facts = [FactText(text=f"Fact number {n} of very many") for n in range(1000)]
    call = asyncio.ensure_future(engine.encode(facts))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await engine.encode([FactText(text="A single fact")])
    assert engine.workload.pending == 0
    assert len(engine._encoding) == 0


@pytest.mark.parametrize("part", ["_batch.step", "_batch.join", "_batch.room", "_watcher.waited"])
async def test_a_dead_thread_leaves_nobody_waiting(
    model: LarimarModel, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setitem(BUDGET, model.decoder.device.type, 512)  # or a GPU has done it all by then
    engine = Larimar(model, rows=2)
    await engine.start()

    def fail(*_: object) -> None:
        raise RuntimeError("device lost")

    owner, name = part.split(".")
    monkeypatch.setattr(getattr(engine, owner), name, fail)
    facts = [FactText(text=f"Fact number {n} of very many") for n in range(300)]
    calls = [said(engine, GenerateItem(PROMPT, None, "never")), engine.encode(facts),
             said(engine, *[GenerateItem(PROMPT, None, "never")] * 4)]  # fmt: skip
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineStopped] * 3
    assert not engine.alive
    with pytest.raises(EngineStopped):
        await engine.encode([FactText(text="anything")])
