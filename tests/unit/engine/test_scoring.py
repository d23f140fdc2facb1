"""An item in steps has the scores that it has at once, and its prompt is looked at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from torch import Tensor

from service.engine.protocol import Scored, ScoreItem
from service.engine.scoring import score, score_in_steps
from service.model.decoder import Decoder
from service.model.larimar import Reading
from tests.unit.engine.test_forward import decoder, prompt

__all__ = ["decoder"]
TARGETS = (1, 3, 3, 40, 2)  # tokens


def text(length: int) -> str:
    return " ".join(map(str, prompt(length)))


def last_of(steps: Generator[None, None, Scored]) -> Scored:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            scored: Scored = end.value
            return scored


@pytest.mark.parametrize("budget", [16, 512])
@pytest.mark.parametrize("length", [1, 100])
@pytest.mark.parametrize("in_scope", [False, True])
def test_steps_change_no_score(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, in_scope: bool, length: int, budget: int
) -> None:
    monkeypatch.setattr(decoder, "encode", lambda text: [int(word) for word in text.split()])
    item = ScoreItem(text(length), tuple(text(n) for n in TARGETS))
    reading = Reading(in_scope, tokens=(5, 6, 7))
    expected = score(decoder, [item], [reading])[0]
    passes, hidden = [], decoder.hidden

    def counted(ids: Tensor, **kwargs: Any) -> Tensor:
        passes.append(ids.numel())
        return hidden(ids, **kwargs)

    monkeypatch.setattr(decoder, "hidden", counted)
    scored = last_of(score_in_steps(decoder, item, reading, budget))
    assert scored.in_scope == in_scope
    for ours, whole in zip(scored.targets, expected.targets, strict=True):
        assert (ours.target, ours.tokens) == (whole.target, whole.tokens)
        assert ours.token_logprobs == pytest.approx(whole.token_logprobs, abs=1e-4)
    assert max(passes) <= budget
    assert sum(passes) < length + 8 + len(TARGETS) * max(TARGETS)
