"""Level 0 of the recursive search: which m rows of all pages are nearest to a query.

Pages are scanned in float32 with a certified error bound; only rows that could be among the best
are scored again, exactly. Exactly is meant: stored float16 addresses and queries rounded to
multiples of 2⁻²⁴ have products that are multiples of 2⁻⁴⁸, and for vectors of about unit length
their sum fits the 53 bits of a float64 in whatever order it is taken. So the choice and its order
depend on the set of rows alone, not on slots, pages, batch sizes or the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from memory_store.pages import K, Rows, live
from memory_store.store import Float32

Float64 = NDArray[np.float64]
GRID: Final = 2.0**24
CHUNK: Final = 1 << 26  # scores held at once


class Page(Protocol):
    """K slots as the search sees them."""

    @property
    def rows(self) -> Rows: ...
    @property
    def unit(self) -> Float32:
        """Addresses of unit length, (K, d)."""
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best rows for one query: cosine falling, then by address bytes, then newest first."""

    slots: NDArray[np.int64]  # (n,), n at most m
    rows: Rows  # (n,)
    cosines: Float64  # (n,)


def canonical(queries: Float32) -> Float64:
    """Queries (Q, d) at unit length on the grid of 2⁻²⁴; a zero query stays zero.

    Raises ValueError for a query that is not finite.
    """
    wide = np.ascontiguousarray(queries, dtype=np.float64)
    norms = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    if not np.isfinite(norms).all():
        raise ValueError("a query is not finite")
    grid: Float64 = np.rint(wide / np.where(norms == 0, 1, norms) * GRID) / GRID
    return grid


def bound(d: int) -> float:
    """How far a float32 score is from the exact cosine: γ_d of the dot product in any order,
    and the roundings of the normalised address and of the query."""
    u = 2.0**-24
    return 1.02 * (d * u / (1 - d * u) + 8 * u)


def cosines(query: Float64, rows: Rows) -> Float64:
    """Exact dot products (n,) of stored addresses with one query (d,), over their lengths."""
    keys = rows["key"].astype(np.float64)
    lengths = np.einsum("nd,nd->n", keys, keys) * (query @ query)
    result: Float64 = keys @ query / np.sqrt(np.where(lengths == 0, 1, lengths))
    return result


def best_rows(pages: Sequence[Page], queries: Float64, m: int, now: float) -> list[Candidates]:
    """The m best live rows for each query (Q, d)."""
    alive = [np.flatnonzero(live(page.rows, now)) for page in pages]
    slots = np.concatenate([np.zeros(0, np.int64), *(i + n * K for n, i in enumerate(alive))])
    step = max(1, CHUNK // max(1, len(slots)))
    found: list[Candidates] = []
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        scores = _scores(pages, alive, part)
        found += [_exact(pages, slots, scores[i], part[i], m) for i in range(len(part))]
    return found


def _scores(
    pages: Sequence[Page], alive: Sequence[NDArray[np.intp]], queries: Float64
) -> torch.Tensor:
    """Approximate cosines of all live rows, (Q, N), each within `bound` of the exact one."""
    narrow = torch.from_numpy(queries.astype(np.float32))  # (Q, d)
    parts = [
        narrow @ torch.from_numpy(page.unit if len(rows) == K else page.unit[rows]).T
        for page, rows in zip(pages, alive, strict=True)
    ]
    return torch.cat([torch.zeros(len(queries), 0), *parts], dim=1)


def _exact(
    pages: Sequence[Page], slots: NDArray[np.int64], scores: torch.Tensor, query: Float64, m: int
) -> Candidates:
    """Keep every row that can be among the m best, score those exactly, sort canonically."""
    if len(slots) > m:
        threshold = scores.topk(m).values[-1] - 2 * bound(len(query))
        slots = slots[torch.nonzero(scores >= threshold).squeeze(1).numpy()]
    if not len(slots):
        return Candidates(slots, np.zeros(0, "V1"), np.zeros(0))
    rows = np.empty(len(slots), pages[0].rows.dtype)
    for i, slot in enumerate(slots.tolist()):
        rows[i] = pages[slot // K].rows[slot % K]
    exact = cosines(query, rows)
    order = _order(exact, rows)[:m]
    return Candidates(slots[order], rows[order], exact[order])


def _order(exact: Float64, rows: Rows) -> NDArray[np.intp]:
    order = np.lexsort((-rows["stamp"].astype(np.int64), -exact))
    if np.any(np.diff(exact[order]) == 0):  # equal cosines: the address's bytes decide
        keys = [(-exact[i], rows["key"][i].tobytes(), -int(rows["stamp"][i])) for i in order]
        order = order[sorted(range(len(order)), key=keys.__getitem__)]
    return order
