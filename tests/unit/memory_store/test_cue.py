"""Which cues are the same cue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_store.cue import default_id, digest, fold
from memory_store.rows import ID


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The capital of France is", "  the CAPITAL of\tFrance\nis "),
        ("ﬁle ①", "file 1"),
        ("Straße", "STRASSE"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_case_width_and_spaces_do_not_matter(one: str, other: str) -> None:
    assert default_id(one) == default_id(other)


def test_a_number_matters() -> None:
    assert digest("The badge number of agent 0001 is") != digest(
        "The badge number of agent 0002 is"
    )


@given(st.text())
def test_folding_twice_is_folding_once(cue: str) -> None:
    assert fold(fold(cue)) == fold(cue)
    assert ID.fullmatch(default_id(cue))
