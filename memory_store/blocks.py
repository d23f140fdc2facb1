"""Stored addresses as level 0 of the search wants them: int8, in blocks of many pages.

A product with few large matrices is as fast as with one; with hundreds of pages it is not. Blocks
are built when first searched and shared by the views of a tenant: a change rebuilds only the
block whose page it touched, and there copies the pages that stayed the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_store.pages import FREE, K, Rows, live, unit_keys
from memory_store.scan import Codes

PAGES: Final = 32  # of a block: 16,384 rows


class Page(Protocol):
    """K slots as the search sees them."""

    @property
    def rows(self) -> Rows: ...


class Block:
    """Up to 32 pages side by side."""

    def __init__(self, pages: Sequence[Page], old: Block | None = None) -> None:
        self.pages = tuple(pages)
        self._codes = Codes.empty(len(pages) * K, pages[0].rows["key"].shape[1])
        for n, page in enumerate(pages):
            part = slice(n * K, (n + 1) * K)
            if old is not None and n < len(old.pages) and old.pages[n] is page:
                self._codes.copy(part, old._codes)
            else:
                self._codes.put(part, unit_keys(page.rows))
                self._codes.slack[part][page.rows["state"] == FREE] = -np.inf
        expiries = np.concatenate([page.rows["expires_at"] for page in pages])
        self._first_expiry = float(expiries[expiries > 0].min(initial=np.inf))

    def codes(self, now: float) -> Codes:
        """Of all rows; those that are free or expired at `now` are never found."""
        if now < self._first_expiry:
            return self._codes
        alive: NDArray[np.bool_] = np.concatenate([live(page.rows, now) for page in self.pages])
        slack = np.where(alive, self._codes.slack, np.float32(-np.inf))
        return Codes(self._codes.codes, self._codes.scale, slack)


class Blocks:
    """The blocks of a tenant's newest view. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: dict[int, Block] = {}

    def of(self, pages: Sequence[Page]) -> list[Block]:
        found: list[Block] = []
        with self._lock:
            for number, group in enumerate(_groups(pages)):
                block = self._built.get(number)
                if block is None or not _same(block.pages, group):
                    block = self._built[number] = Block(group, block)
                found.append(block)
        return found


def _groups(pages: Sequence[Page]) -> Iterator[Sequence[Page]]:
    for first in range(0, len(pages), PAGES):
        yield pages[first : first + PAGES]


def _same(one: Sequence[Page], other: Sequence[Page]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
