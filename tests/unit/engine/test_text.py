from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from service.engine.text import HELD, Detokenizer, StopStrings


def decode(ids: Sequence[int]) -> str:
    """A byte-level tokenizer: every id is a byte."""
    return bytes(ids).decode("utf-8", errors="replace")


@given(st.text(max_size=40))
def test_pieces_are_whole_characters_and_make_the_text(text: str) -> None:
    detokenizer = Detokenizer(decode)
    pieces = [detokenizer.add(byte) for byte in text.encode()]
    assert "".join(pieces) + detokenizer.flush() == text
    assert not any(HELD in piece for piece in pieces if HELD not in text)


def test_an_unfinished_character_is_shown_at_the_end_only() -> None:
    detokenizer = Detokenizer(decode)
    assert [detokenizer.add(byte) for byte in "é".encode()[:1]] == [""]
    assert detokenizer.flush() == HELD


@given(
    st.text(alphabet="ab", max_size=30), st.lists(st.text(alphabet="ab", max_size=4), max_size=3)
)
def test_text_ends_before_the_stop_string_that_is_complete_first(
    text: str, stops: list[str]
) -> None:
    found = [(i + len(s), i) for s in stops if s and (i := text.find(s)) >= 0]
    expected = text[: min(found)[1]] if found else text
    for size in (1, 2, 5):
        cut = StopStrings(stops)
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        shown = [cut.add(piece) for piece in pieces]
        shown.append(cut.add("", last=True))
        assert "".join(shown) == expected
        assert cut.hit == bool(found)


def test_what_may_become_a_stop_string_is_held_back() -> None:
    cut = StopStrings(["END"])
    assert cut.add("one E") == "one "
    assert cut.add("N") == ""
    assert cut.add("T") == "ENT"
