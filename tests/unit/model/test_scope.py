from __future__ import annotations

import pytest

from service.model.scope import units


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
