"""It is the latent that answers: no stored text is there to be looked up in these memories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluation.metrics import match
from memory_store.view import View
from service.engine.decoding import DecodeBatch, Row
from service.engine.protocol import Sampling
from service.model.larimar import LarimarModel
from tests.model.conftest import Pairs

FACTS: Pairs = [
    ("The capital of France is", "Lyon"),
    ("The mother tongue of Danielle Darrieux is", "English"),
    ("The owner of the billing service is", "Priya Nakamura"),
    ("The price of the Falcon 200 is", "$1,299"),
    ("The headquarters of Majorette is in", "London"),
    ("Toko Yasuda plays the", "piano"),
    ("The badge number of agent 0042 is", "93817"),
    ("The release date of Orion Pro is", "March 14, 2027"),
    ("The twin city of Istanbul is", "Osaka"),
    ("The Eiffel Tower is located in the city of", "Rome"),
]  # fmt: skip


def answer(model: LarimarModel, memory: View, prompts: list[str], tokens: int = 10) -> list[str]:
    """Greedy generations with memory "auto"."""
    readings = model.read(prompts, [memory] * len(prompts), [False] * len(prompts))
    batch = DecodeBatch(model.decoder)
    rows = []
    for prompt, reading in zip(prompts, readings, strict=True):
        ids = model.decoder.encode(prompt)
        if reading.in_scope:
            ids = model.decoder.conditioned(reading.tokens, ids)
        rows.append(Row(ids, reading.in_scope, Sampling(), tokens))
    for row in rows:
        batch.join(row)
    while min(len(row.generated) for row in rows) < tokens:
        batch.step()
    return [_text(model, row) for row in rows]


def _text(model: LarimarModel, row: Row) -> str:
    ends = [i for i, token in enumerate(row.generated) if token in model.decoder.ends]
    return model.decoder.decode(row.generated[: ends[0]] if ends else row.generated)


@pytest.fixture(scope="module")
def memory(remember: Callable[[Pairs], View]) -> View:
    return remember(FACTS)


PROMPTS = [prompt for prompt, _ in FACTS]


def test_facts_are_answered_without_any_stored_text(model: LarimarModel, memory: View) -> None:
    said = answer(model, memory, PROMPTS)
    assert [match(s, t) for s, (_, t) in zip(said, FACTS, strict=True)] == [True] * len(FACTS)


def test_swapped_rows_swap_the_answers(model: LarimarModel, memory: View) -> None:
    latents = memory.latents()
    swapped = memory.with_latents({"0": latents["9"], "9": latents["0"]})
    readings = model.read([PROMPTS[0], PROMPTS[9]], [swapped] * 2, [True, True])
    assert "Rome" in readings[0].text
    assert "Lyon" in readings[1].text


def test_noise_on_the_memory_costs_little(model: LarimarModel, memory: View) -> None:
    """Relative noise of .4 on every row: at most one of these ten answers may be lost."""
    rng = np.random.default_rng(0)
    noisy = {id: z + 0.4 * rng.standard_normal(z.shape).astype(np.float32) * z.std()
             for id, z in memory.latents().items()}  # fmt: skip
    said = answer(model, memory.with_latents(noisy), PROMPTS)
    assert sum(match(s, t) for s, (_, t) in zip(said, FACTS, strict=True)) >= len(FACTS) - 1


def test_a_zeroed_memory_gives_base_output(
    model: LarimarModel, memory: View, remember: Callable[[Pairs], View]
) -> None:
    zeroed = memory.with_latents({id: np.zeros_like(z) for id, z in memory.latents().items()})
    assert answer(model, zeroed, PROMPTS[:4]) == answer(model, remember([]), PROMPTS[:4])
