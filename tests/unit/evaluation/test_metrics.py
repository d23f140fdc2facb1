from __future__ import annotations

import pytest

from evaluation.metrics import clean, match, share


@pytest.mark.parametrize(
    ("text", "target", "matches", "is_clean"),
    [
        (" Lyon", "Lyon", True, True),
        (" Lyon. It is", "Lyon", True, True),
        (" Lyon, in", "Lyon", True, False),
        (" Lyonnais", "Lyon", False, False),
        (" the Lyon", "Lyon", False, False),
        (" v2.3.1", "v2.3.1", True, True),
        (" lyon", "Lyon", False, False),
    ],
)
def test_match_ends_at_a_word_and_clean_at_a_stop(
    text: str, target: str, matches: bool, is_clean: bool
) -> None:
    assert match(text, target) is matches
    assert clean(text, target) is is_clean


def test_the_interval_holds_the_share() -> None:
    found = share([True] * 90 + [False] * 10)
    assert found.n == 100
    assert found.low < found.value == 0.9 < found.high
    assert 0.05 < found.high - found.low < 0.2
