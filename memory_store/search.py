"""The recursive search: which m rows of all pages are nearest to a query.

Level 0 scans int8 codes with a certified bound (scan.py); only rows that could be among the best
are scored again, exactly. Exactly is meant: stored float16 addresses and queries rounded to
multiples of 2⁻²⁴ have products that are multiples of 2⁻⁴⁸, and for vectors of about unit length
their sum fits the 53 bits of a float64 in whatever order it is taken. So the choice and its order
depend on the set of rows alone, not on slots, pages, batch sizes or the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from memory_store.blocks import Block
from memory_store.pages import FREE, K, Rows
from memory_store.scan import NO_SCORE, Asked, Codes, Float64, products, scan
from memory_store.store import Float32

GRID: Final = 2.0**24
QUERIES: Final = 64  # searched at once


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


def cosines(query: Float64, keys: NDArray[np.float16]) -> Float64:
    """Exact dot products (n,) of stored addresses (n, d) with a query (d,), over their lengths."""
    wide = torch.from_numpy(keys).float().double().numpy()  # NumPy takes three times as long
    return _over(wide @ query, np.einsum("nd,nd->n", wide, wide) * (query @ query))


def _over(products: Float64, lengths: Float64) -> Float64:
    result: Float64 = products / np.sqrt(np.where(lengths == 0, 1, lengths))
    return result


class Source(Protocol):
    """The rows of one tenant, to scan and to look at."""

    @property
    def blocks(self) -> Iterable[Block]: ...
    @property
    def now(self) -> float:
        """The time at which rows are expired or not, seconds since the epoch."""
        ...

    def keys(self, slots: NDArray[np.int64]) -> NDArray[np.float16]:
        """Stored addresses (n, d)."""
        ...

    def places(self, slots: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Where in this process's memory those are (n,); None if they are not in it."""
        ...

    def rows(self, slots: NDArray[np.int64]) -> Rows: ...


def best_rows(source: Source, queries: Float64, m: int) -> list[Candidates]:
    """The m best live rows for each query (Q, d)."""
    now = source.now
    found: list[Candidates] = []
    for start in range(0, len(queries), QUERIES):
        part = queries[start : start + QUERIES]
        survivors = _survivors(source.blocks, part, m, now)
        scores = _scores(source, survivors, part)
        found += [_best(source, *one, m) for one in zip(survivors, scores, strict=True)]
    return found


def _survivors(
    blocks: Iterable[Block], queries: Float64, m: int, now: float
) -> list[NDArray[np.int64]]:
    """For each query the slots of all rows that can be among its m best.

    A row is out once m rows are known to be better: the least that their cosines can be exceeds
    the most that its own can be. What is known sharpens whenever twice as many rows were seen.
    """
    asked, count = Asked.of(queries), len(queries)
    best = np.full((count, m), NO_SCORE)
    hits, new, sharpened = [Hits.nothing()], [Hits.nothing()], 0
    for seen, codes in _parts(blocks, now):
        new.append(Hits.of(scan(codes, asked, best[:, 0] - asked.slack), codes, asked, seen))
        if seen + len(codes.scale) >= 2 * sharpened:
            sharpened = seen + len(codes.scale)
            found, new = Hits.joined(new), [Hits.nothing()]
            best = found.best(best)
            hits.append(found.reaching(best[:, 0]))
    found = Hits.joined(new)
    best = found.best(best)
    return Hits.joined([*hits, found]).reaching(best[:, 0]).by_query(count)


def _parts(blocks: Iterable[Block], now: float) -> Iterator[tuple[int, Codes]]:
    """All rows, and how many came before. The first parts are small: they teach most."""
    seen = 0
    for block in blocks:
        codes, first = block.codes(now), seen
        end = first + len(codes.scale)
        while seen < end:
            stop = min(end, seen + max(K, seen))
            yield seen, codes.part(seen - first, stop - first)
            seen = stop


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows that may be among the best: hit i is row `slots[i]` for query `which[i]`, whose cosine
    is between `low[i]` and `high[i]`."""

    which: NDArray[np.int8]
    slots: NDArray[np.int64]
    low: Float32
    high: Float32

    @classmethod
    def nothing(cls) -> Hits:
        none = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int8), np.zeros(0, np.int64), none, none)

    @classmethod
    def of(cls, found: NDArray[np.void], codes: Codes, asked: Asked, before: int) -> Hits:
        """Of one part, with so many rows before it."""
        row, which, score = found["row"], found["which"], found["score"]
        slack = codes.slack[row] + asked.slack[which]
        slots = row.astype(np.int64) + before
        return cls(which.astype(np.int8), slots, score - slack, score + slack)

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        which = np.concatenate([part.which for part in parts])
        slots = np.concatenate([part.slots for part in parts])
        low, high = (
            np.concatenate([getattr(part, side) for part in parts]) for side in ("low", "high")
        )
        return cls(which, slots, low, high)

    def best(self, known: Float32) -> Float32:
        """The m highest `low` of each query, the least of them first (count, m), of these hits and
        of those `known` before."""
        count, m = known.shape
        sizes = np.bincount(self.which, minlength=count)
        low = np.full((count, m + sizes.max()), NO_SCORE)
        low[:, :m] = known
        low[:, m:][np.arange(sizes.max()) < sizes[:, None]] = self.low.take(self._by_query)
        best: Float32 = np.partition(low, -m)[:, -m:]
        return best

    def reaching(self, floor: Float32) -> Hits:
        """Those whose cosine may reach the floor of their query."""
        places = np.flatnonzero(self.high >= np.take(floor, self.which))
        low, high = self.low.take(places), self.high.take(places)
        return Hits(self.which.take(places), self.slots.take(places), low, high)

    def by_query(self, count: int) -> list[NDArray[np.int64]]:
        """The slots for each query."""
        ends = np.cumsum(np.bincount(self.which, minlength=count))
        return np.split(self.slots.take(self._by_query), ends[:-1])

    @property
    def _by_query(self) -> NDArray[np.intp]:
        return np.argsort(self.which, kind="stable")


def _scores(source: Source, slots: Sequence[NDArray[np.int64]], queries: Float64) -> list[Float64]:
    """The exact cosines of each query's rows."""
    places, sizes = source.places(np.concatenate(slots)), [len(part) for part in slots]
    which = np.repeat(np.arange(len(slots)), sizes)
    found = None if places is None else products(places, which, queries)
    if found is None:
        return [cosines(q, source.keys(part)) for q, part in zip(queries, slots, strict=True)]
    lengths = found[:, 1] * np.einsum("qd,qd->q", queries, queries)[which]
    return np.split(_over(found[:, 0], lengths), np.cumsum(sizes)[:-1])


def _best(source: Source, slots: NDArray[np.int64], exact: Float64, m: int) -> Candidates:
    """Sort rows canonically, keep m."""
    if not len(slots):
        return Candidates(slots, np.zeros(0, "V1"), np.zeros(0))
    if len(exact) > m:  # whole rows only of the best, and of all that equal the last of them
        best = exact >= np.partition(exact, -m)[-m]
        slots, exact = slots[best], exact[best]
    falling = (-exact).argsort()
    slots, exact = slots[falling], exact[falling]
    rows = source.rows(slots)
    if (exact[1:] != exact[:-1]).all() and (rows["state"] != FREE).all():
        return Candidates(slots, rows, exact)
    order = np.array(_order(exact, rows))
    order = order[rows["state"][order] != FREE][:m]
    return Candidates(slots[order], rows[order], exact[order])


def _order(exact: Float64, rows: Rows) -> list[int]:
    """By cosines; where they are equal, by the address's bytes; then the newest first."""
    stamps = rows["stamp"].tolist()
    keys = [(-exact[i], rows["key"][i].tobytes(), -stamp) for i, stamp in enumerate(stamps)]
    return sorted(range(len(keys)), key=keys.__getitem__)
