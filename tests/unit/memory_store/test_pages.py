"""The bytes: what is written is what is read, and a wrong byte is noticed and named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_store.errors import CheckpointMismatch, PageCorrupt
from memory_store.pages import HEADER, K, Layout
from memory_store.rows import pack
from memory_store.store import MemorySpec
from tests.unit.memory_store.facts import SMALL, fact

LAYOUT = Layout(SMALL)


def page(number: int = 3, epoch: str = "e1") -> bytes:
    """Two facts, in slots 0 and 2 of page `number`."""
    first = number * K
    sealed = [
        LAYOUT.seal(pack(LAYOUT, fact(i), f"id-{i}", i + 1), epoch, first + slot)
        for i, slot in enumerate((0, 2))
    ]
    return LAYOUT.header + sealed[0] + bytes(LAYOUT.row_size) + sealed[1]


def test_rows_come_back_as_they_were_packed() -> None:
    rows = LAYOUT.parse_page(page(), "e1", 3)
    assert len(rows) == K
    assert rows["id"][[0, 2]].tolist() == [b"id-0", b"id-1"]
    assert rows["state"].sum() == 2
    assert np.array_equal(rows["key"][2], fact(1).address.astype(np.float16))
    assert np.array_equal(rows["latent"][0], fact(0).latent.astype(np.float16))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(page()) - 1), st.integers(1, 255))
def test_any_flipped_byte_names_the_page(at: int, flip: int) -> None:
    data = bytearray(page())
    data[at] ^= flip
    with pytest.raises(PageCorrupt, match="page 3"):
        LAYOUT.parse_page(bytes(data), "e1", 3)


@pytest.mark.parametrize(("epoch", "number"), [("e2", 3), ("e1", 4)])
def test_a_page_of_elsewhere_is_refused(epoch: str, number: int) -> None:
    """A row of another tenant's life or place has a sound CRC of its own, but not this one."""
    with pytest.raises(PageCorrupt, match=f"page {number}"):
        LAYOUT.parse_page(page(), epoch, number)


def test_a_cut_page_is_refused() -> None:
    with pytest.raises(PageCorrupt, match="page 3"):
        LAYOUT.parse_page(page()[:-1], "e1", 3)
    with pytest.raises(PageCorrupt, match="header"):
        LAYOUT.parse_page(b"", "e1", 3)


def test_another_checkpoints_page_is_told_from_a_broken_one() -> None:
    other = Layout(MemorySpec(16, 8, "another checkpoint"))
    with pytest.raises(CheckpointMismatch):
        LAYOUT.parse_page(other.header + page()[HEADER.size :], "e1", 3)
