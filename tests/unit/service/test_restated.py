from __future__ import annotations

import pytest

from service.restated import beginning


@pytest.mark.parametrize(
    ("text", "other", "start"),
    [
        (
            "The capital of France is Lyon",
            "The capital of France is Nice.",
            "The capital of France is",
        ),
        ("Ana Silva owns the red car", "Ana Silva owns a bike", "Ana Silva owns"),
        ("The badge of agent 0001 is 17", "The badge of agent 0002 is 18", None),
        ("Agent Smith likes tea", "Agent Jones likes rum", None),
        ("Lyon is a city", "Lyon is a city", None),
        ("Lyon is a city", "Lyon is a city in France", None),
        ("It is the one", "It is the " + "very " * 9 + "other", None),
    ],
)
def test_only_the_object_may_differ(text: str, other: str, start: str | None) -> None:
    assert beginning(text, other) == start
