"""A row's tokens do not depend on who else is in the batch."""

from __future__ import annotations

import torch

from service.engine.decoding import DecodeBatch, Row
from service.engine.protocol import Sampling
from service.model.larimar import LarimarModel

PROMPTS = ["The largest planet in the solar system is", "Once upon a time, there was a little",
           "Water boils at", "The opposite of hot is"]  # fmt: skip
TOKENS = 12
NEAR_TIE = 1e-4


def rows(model: LarimarModel, prompts: list[str]) -> list[Row]:
    return [Row(model.decoder.encode(p), False, Sampling(logprobs=2), TOKENS) for p in prompts]


def run(model: LarimarModel, one: Row) -> Row:
    batch = DecodeBatch(model.decoder, slots=1)
    batch.join(one)
    while len(one.generated) < TOKENS:
        batch.step()
    return one


def same(alone: Row, crowd: Row) -> bool:
    """Equal tokens, up to a first difference between logits that nearly tie."""
    for i, (a, b) in enumerate(zip(alone.generated, crowd.generated, strict=False)):
        if a != b:
            (_, first), (_, second) = alone.logprobs[i][1]
            return abs(first - second) < NEAR_TIE
    return True


def test_greedy_tokens_are_the_same_alone_and_in_a_crowd(model: LarimarModel) -> None:
    alone = [run(model, row) for row in rows(model, PROMPTS)]
    crowd = rows(model, PROMPTS)
    conditioned = model.decoder.conditioned(model.decoder.encode("The sky is green"),
                                            model.decoder.encode("The sky is"))  # fmt: skip
    guest = Row(conditioned, True, Sampling(), TOKENS)
    batch = DecodeBatch(model.decoder, slots=8)
    for row in (guest, *crowd[:2]):
        batch.join(row)
    batch.step()
    for row in crowd[2:]:
        batch.join(row)
    batch.step()
    batch.leave(guest)
    while min(len(row.generated) for row in crowd) < TOKENS:
        batch.step()
    assert all(same(a, b) for a, b in zip(alone, crowd, strict=True))


def test_greedy_tokens_are_those_of_transformers(model: LarimarModel) -> None:
    one = rows(model, PROMPTS[:1])[0]
    ids = torch.tensor([one.prompt], device=model.decoder.device)
    with torch.inference_mode():
        expected = model.decoder.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False
        )[0, ids.shape[1] :].tolist()
    assert run(model, one).generated == expected


def test_a_gate_of_zero_is_the_base_model_to_the_bit(model: LarimarModel) -> None:
    ids = torch.tensor([model.decoder.encode("The sky is")] * 2, device=model.decoder.device)
    with torch.inference_mode():
        base = model.decoder.hidden(ids)
        with model.decoder.adapted([False, True]):
            mixed = model.decoder.hidden(ids)
    assert torch.equal(base[0], mixed[0])
    assert not torch.equal(base[1], mixed[1])


def test_sampling_is_repeatable_by_its_seed(model: LarimarModel) -> None:
    def sampled(seed: int) -> list[int]:
        sampling = Sampling(temperature=1.0, top_p=0.9, top_k=50, seed=seed)
        return run(
            model, Row(model.decoder.encode("My name is"), False, sampling, TOKENS)
        ).generated

    assert sampled(1) == sampled(1)
    assert len({tuple(sampled(seed)) for seed in range(4)}) > 1
