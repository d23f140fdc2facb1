"""Steps of a batch on a small decoder: memory that runs out, chunks, and drawing tokens."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from service.engine.decoding import DecodeBatch, Row, nucleus
from service.engine.forward import Part
from service.engine.protocol import Sampling
from service.engine.transformer import TransformerForward
from service.model.decoder import Decoder
from tests.unit.engine.test_forward import decoder, prompt

__all__ = ["decoder"]
TOKENS = 6


def rows(lengths: Sequence[int]) -> list[Row]:
    return [Row(prompt(n), n % 2 == 0, Sampling(), TOKENS) for n in lengths]


def run(batch: DecodeBatch, wanted: Sequence[Row]) -> list[list[int]]:
    for row in wanted:
        batch.join(row)
    while any(len(row.generated) < TOKENS and not row.lost for row in wanted):
        batch.step()
        for row in [r for r in batch.rows if len(r.generated) == TOKENS or r.lost]:
            batch.leave(row)
    return [row.generated for row in wanted]


class Small(TransformerForward):
    """A device that holds `fits` tokens a step."""

    fits = 10

    def extend(self, parts: Sequence[Part]) -> Tensor:
        if sum(len(part.ids) for part in parts) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().extend(parts)


def test_a_step_that_does_not_fit_is_taken_in_halves(decoder: Decoder) -> None:
    lengths = (5, 3, 6, 4)
    expected = run(DecodeBatch(decoder, slots=4), rows(lengths))
    batch = DecodeBatch(decoder, slots=4)
    batch.forward = Small(decoder, 4, 1024)
    assert run(batch, rows(lengths)) == expected


def test_a_row_that_does_not_fit_alone_is_lost_alone(decoder: Decoder) -> None:
    expected = run(DecodeBatch(decoder, slots=4), rows((5, 3)))
    batch = DecodeBatch(decoder, slots=4)
    batch.forward = Small(decoder, 4, 1024)
    small, large = rows((5, 3)), rows((40,))[0]
    assert run(batch, [*small, large])[:2] == expected
    assert large.lost
    assert batch.rows == []


def test_other_errors_end_the_step(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = DecodeBatch(decoder, slots=4)

    def broken(parts: Sequence[Part]) -> Tensor:
        raise RuntimeError("device lost")

    monkeypatch.setattr(batch.forward, "extend", broken)
    batch.join(rows((5,))[0])
    with pytest.raises(RuntimeError, match="device lost"):
        batch.step()


def test_a_long_prompt_stalls_nobody(decoder: Decoder) -> None:
    """Others get a token at every step while it goes in, chunk by chunk."""
    batch = DecodeBatch(decoder, slots=4)
    batch.forward.chunk = 16
    short, long = rows((4,))[0], Row(prompt(120), False, Sampling(), TOKENS)
    short.limit = 100
    batch.join(short)
    batch.step()
    batch.join(long)
    steps = 0
    while not long.generated:
        batch.step()
        steps += 1
        assert len(short.generated) == 1 + steps
    assert steps == -(-120 // 16)


@given(
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=400),
    st.integers(0, 500),
    st.floats(0.01, 1.0),
)
def test_the_nucleus_is_the_one_of_a_sorted_vocabulary(
    values: list[float], top_k: int, top_p: float
) -> None:
    logits = torch.tensor(values)
    ranked = torch.sort(logits, descending=True).values[: top_k or None]
    mass = torch.softmax(ranked.double(), -1)
    before = mass.cumsum(-1) - mass
    kept, ids = nucleus(logits, top_k, top_p)
    assert torch.equal(logits[ids], kept)
    assert len(set(ids.tolist())) == len(ids)
    certain = int((before < top_p - 1e-5).sum())
    possible = int((before < top_p + 1e-5).sum())
    assert certain <= len(ids) <= possible
    assert torch.allclose(kept.sort(descending=True).values, ranked[: len(ids)], atol=1e-3)


@pytest.mark.parametrize(("temperature", "top_p"),
                         [(5e-324, 1.0), (1e-40, 1.0), (1.0, 5e-324), (1.0, 1e-50)])  # fmt: skip
def test_what_float32_does_not_hold_draws_the_likeliest_token(
    decoder: Decoder, temperature: float, top_p: float
) -> None:
    greedy, drawn = rows((5, 5))
    drawn.sampling = Sampling(temperature=temperature, top_p=top_p, seed=1)
    expected, generated = run(DecodeBatch(decoder), [greedy, drawn])
    assert generated == expected
