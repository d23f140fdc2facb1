from __future__ import annotations

import pytest
import torch

from service.model.scope import FEATURES, LEAD, units, weighed


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("The capital of France is", ("The capital of France is",)),
        ("It rained. The capital of France is",
         ("The capital of France is", "It rained. The capital of France is")),
        ("One. Two. Who owns X?", ("Who owns X?", "Two. Who owns X?", "One. Two. Who owns X?")),
        ("Q: Who owns X?\nA:", ("A:", "Q: Who owns X?\nA:")),
        ("", ("",)),
    ],
)  # fmt: skip
def test_units_hold_what_the_completion_continues(prompt: str, expected: tuple[str, ...]) -> None:
    assert units(prompt) == expected
    assert all(prompt.strip().endswith(unit) for unit in units(prompt))


def test_a_longer_lead_says_no_more() -> None:
    """Columns: logit, cosine, lead, 1."""
    match = torch.zeros(3, FEATURES)
    match[:, 0], match[:, 1] = 0.5, torch.tensor([-0.25, LEAD / 2, 2 * LEAD])
    found = weighed(torch.tensor([1.0, 2.0, 3.0]), match)
    assert torch.equal(found, torch.tensor(
        [[1, 0.5, -0.25, 1], [2, 0.5, LEAD / 2, 1], [3, 0.5, LEAD, 1]]))  # fmt: skip
