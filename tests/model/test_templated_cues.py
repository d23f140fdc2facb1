"""Cues that differ in one number are the hardest neighbours: each keeps its own answer."""

from __future__ import annotations

from collections.abc import Callable

from memory_store.view import View
from service.model.larimar import LarimarModel
from tests.model.conftest import Pairs


def test_300_facts_that_differ_in_one_number_are_each_answered(
    model: LarimarModel, remember: Callable[[Pairs], View]
) -> None:
    facts = [(f"The badge number of agent {i:04d} is", str(10_000 + 7919 * i % 90_000))
             for i in range(300)]  # fmt: skip
    memory = remember(facts)
    prompts = [prompt for prompt, _ in facts]
    readings = model.read(prompts, [memory] * 300, [False] * 300)
    assert [r.ids[0] for r in readings] == [str(i) for i in range(300)]
    wrong = [r.text for r, (p, t) in zip(readings, facts, strict=True) if r.text != f"{p} {t}"]
    assert wrong == []
    assert all(reading.in_scope for reading in readings)
