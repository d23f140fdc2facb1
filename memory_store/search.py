"""Level 0 of the recursive search: which m rows of all pages are nearest to a query.

Pages are scanned in float32 with a certified error bound; only rows that could be among the best
are scored again, exactly. Exactly is meant: stored float16 addresses and queries rounded to
multiples of 2⁻²⁴ have products that are multiples of 2⁻⁴⁸, and for vectors of about unit length
their sum fits the 53 bits of a float64 in whatever order it is taken. So the choice and its order
depend on the set of rows alone, not on slots, pages, batch sizes or the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from memory_store.blocks import PAGES, Block
from memory_store.pages import FREE, K, Rows
from memory_store.store import Float32

Float64 = NDArray[np.float64]
GRID: Final = 2.0**24
QUERIES: Final = 64  # searched at once
NO_SCORE: Final = np.float32(-2)  # below every cosine


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


class Source(Protocol):
    """The rows of one tenant, to scan and to look at."""

    @property
    def blocks(self) -> Iterable[Block]: ...
    @property
    def now(self) -> float:
        """The time at which rows are expired or not, seconds since the epoch."""
        ...

    def rows(self, slots: NDArray[np.int64]) -> Rows: ...


def best_rows(source: Source, queries: Float64, m: int) -> list[Candidates]:
    """The m best live rows for each query (Q, d)."""
    now = source.now
    found: list[Candidates] = []
    for start in range(0, len(queries), QUERIES):
        part = queries[start : start + QUERIES]
        survivors = _survivors(source.blocks, part, m, now)
        found += [_exact(source, slots, q, m) for slots, q in zip(survivors, part, strict=True)]
    return found


def _survivors(
    blocks: Iterable[Block], queries: Float64, m: int, now: float
) -> list[NDArray[np.int64]]:
    """For each query the slots of all rows that can be among its m best.

    A row is out once m rows are known to be better: their approximate scores exceed its own by
    twice the bound. What is known sharpens at the 1st, 2nd, 4th, 8th ... block.
    """
    narrow = torch.from_numpy(queries.astype(np.float32))  # (Q, d)
    count, margin = len(queries), 2 * bound(queries.shape[1])
    floor: Float32 = np.full(count, -np.inf, np.float32)
    hits: list[Hits] = []
    for n, block in enumerate(blocks):
        scores = block.scores(narrow, now)  # (R, Q)
        if n == 0 and len(scores) > m:
            best = torch.from_numpy(scores).T.contiguous().topk(m).values[:, -1].numpy()
            floor = (best - margin).astype(np.float32)
        flat = np.flatnonzero((scores >= np.maximum(floor, NO_SCORE)).ravel())
        rows, which = np.divmod(flat, count)
        hits.append(Hits(which, rows + n * PAGES * K, scores.ravel()[flat]))
        if n & (n - 1) == 0:
            hits = [Hits.joined(hits)]
            floor = np.maximum(floor, hits[0].best(count, m) - np.float32(margin))
    if not hits:
        return [np.zeros(0, np.int64)] * count
    joined = Hits.joined(hits)
    floor = np.maximum(floor, joined.best(count, m) - np.float32(margin))
    return joined.by_query(count, floor)


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows that may be among the best: hit i is row `slots[i]` for query `which[i]`."""

    which: NDArray[np.int64]
    slots: NDArray[np.int64]
    scores: Float32

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        """All hits, ordered by query."""
        which = np.concatenate([part.which for part in parts])
        order = np.argsort(which, kind="stable")
        slots = np.concatenate([part.slots for part in parts])[order]
        scores = np.concatenate([part.scores for part in parts])[order]
        return cls(which[order], slots, scores)

    def best(self, count: int, m: int) -> Float32:
        """The m-th best score of each query, -inf where there are fewer, (count,)."""
        parts = np.split(self.scores, self._ends(count))
        return np.array(
            [np.partition(s, -m)[-m] if len(s) >= m else -np.inf for s in parts], np.float32
        )

    def by_query(self, count: int, floor: Float32) -> list[NDArray[np.int64]]:
        keep = self.scores >= floor[self.which]
        ends = np.searchsorted(self.which[keep], np.arange(1, count))
        return list(np.split(self.slots[keep], ends))

    def _ends(self, count: int) -> NDArray[np.intp]:
        return np.searchsorted(self.which, np.arange(1, count))


def _exact(source: Source, slots: NDArray[np.int64], query: Float64, m: int) -> Candidates:
    """Score rows exactly, sort them canonically, keep m."""
    if not len(slots):
        return Candidates(slots, np.zeros(0, "V1"), np.zeros(0))
    rows = source.rows(slots)
    there = rows["state"] != FREE
    slots, rows = slots[there], rows[there]
    exact = cosines(query, rows)
    order = _order(exact, rows)[:m]
    return Candidates(slots[order], rows[order], exact[order])


def _order(exact: Float64, rows: Rows) -> NDArray[np.intp]:
    order = np.lexsort((-rows["stamp"].astype(np.int64), -exact))
    if np.any(np.diff(exact[order]) == 0):  # equal cosines: the address's bytes decide
        keys = [(-exact[i], rows["key"][i].tobytes(), -int(rows["stamp"][i])) for i in order]
        order = order[sorted(range(len(order)), key=keys.__getitem__)]
    return order
