"""Stored addresses as level 0 of the search wants them: float32, unit length, in large blocks.

A product with few large matrices is as fast as with one; with hundreds of pages it is not. Blocks
are built when first searched and shared by the views of a tenant: a change rebuilds only the
block whose page it touched, and there copies the pages that stayed the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from memory_store.pages import FREE, K, Rows, live, unit_keys
from memory_store.store import Float32

PAGES: Final = 32  # of a block: 16,384 rows


class Page(Protocol):
    """K slots as the search sees them."""

    @property
    def rows(self) -> Rows: ...


class Block:
    """Up to 32 pages side by side."""

    def __init__(self, pages: Sequence[Page], old: Block | None = None) -> None:
        self.pages = tuple(pages)
        d = pages[0].rows["key"].shape[1]
        self.unit: Float32 = np.empty((len(pages) * K, d), np.float32)  # (R, d)
        for n, page in enumerate(pages):
            part = slice(n * K, (n + 1) * K)
            if old is not None and n < len(old.pages) and old.pages[n] is page:
                self.unit[part] = old.unit[part]
            else:
                self.unit[part] = unit_keys(page.rows)
        self._occupied = np.concatenate([page.rows["state"] != FREE for page in pages])
        expiries = np.concatenate([page.rows["expires_at"] for page in pages])
        self._first_expiry = float(expiries[expiries > 0].min(initial=np.inf))

    def alive(self, now: float) -> NDArray[np.bool_]:
        """Rows that are occupied and not expired, (R,)."""
        if now < self._first_expiry:
            return self._occupied
        return np.concatenate([live(page.rows, now) for page in self.pages])

    def scores(self, queries: torch.Tensor, now: float) -> Float32:
        """Cosines (R, Q) of unit queries (Q, d), within `search.bound`; -inf where not alive."""
        unit = torch.from_numpy(self.unit)
        scores: Float32 = (unit @ queries.T).numpy() if len(queries) > 1 else (
            torch.mv(unit, queries[0])[:, None].numpy()
        )  # fmt: skip
        alive = self.alive(now)
        if not alive.all():
            scores[~alive] = -np.inf
        return scores


class Blocks:
    """The blocks of a tenant's newest view. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: dict[int, Block] = {}

    def of(self, pages: Sequence[Page]) -> list[Block]:
        found: list[Block] = []
        with self._lock:
            for number, first in enumerate(range(0, len(pages), PAGES)):
                group = pages[first : first + PAGES]
                block = self._built.get(number)
                if block is None or not _same(block.pages, group):
                    block = self._built[number] = Block(group, block)
                found.append(block)
        return found


def _same(one: Sequence[Page], other: Sequence[Page]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
