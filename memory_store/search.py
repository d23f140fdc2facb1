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
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_store.blocks import Block
from memory_store.pages import FREE, K, Rows
from memory_store.places import Places
from memory_store.scan import NO_SCORE, Asked, Codes, Float64, products, scan
from memory_store.store import Float32

GRID: Final = 2.0**24
QUERIES: Final = 64  # searched at once
SHARE: Final = 0.25  # of a bound: seven standard deviations of roundings at random at d = 384


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best rows for one query: cosine falling, then by address bytes, then newest first."""

    rows: Places  # (n,), n at most m
    heads: Rows  # (n,), copies of what they begin with
    cosines: Float64  # (n,)

    def __len__(self) -> int:
        return len(self.cosines)

    def take(self, which: slice | NDArray[Any]) -> Candidates:
        return Candidates(self.rows.take(which), self.heads[which], self.cosines[which])


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


class Source(Protocol):
    """The rows of one tenant, to scan and to look at."""

    @property
    def blocks(self) -> Iterable[Block]: ...
    @property
    def now(self) -> float:
        """The time at which rows are expired or not, seconds since the epoch."""
        ...

    def rows(self, slots: NDArray[np.int64]) -> Places:
        """Those rows, in this process's memory."""
        ...


def best_rows(source: Source, queries: Float64, m: int) -> list[Candidates]:
    """The m best live rows for each query (Q, d)."""
    now = source.now
    found: list[Candidates] = []
    for start in range(0, len(queries), QUERIES):
        part = queries[start : start + QUERIES]
        found += _scored(source, part, m, now).best(len(part), m)
    return found


def _scored(source: Source, queries: Float64, m: int, now: float) -> Scored:
    """All rows that are among the m best of a query, and a few more.

    Rows that miss a likely floor are not looked at. The m likeliest are scored first: no row below
    the least of these can be among the best, and what was likely is certain if that is no lower.
    A row whose score is out of its bounds was erased or replaced since; its lower bound stands.
    """
    asked, count = Asked.of(queries), len(queries)
    hits, floor = _likely_hits(source.blocks, asked, count, m, now)
    likeliest = hits.likely >= floor[hits.which]
    first = hits.take(np.flatnonzero(likeliest))
    scored = Scored.of(source, first, queries)
    least = np.full(count, np.inf)
    np.minimum.at(least, first.which, np.maximum(scored.cosines, first.low))
    if (least < floor).any():
        certain = least.astype(np.float32)
        parts = [Hits.of(codes, asked, certain, n) for n, codes in _parts(source.blocks, now)]
        return Scored.of(source, Hits.joined(parts), queries)
    rest = np.flatnonzero(~likeliest & (hits.high >= least[hits.which]))
    others = Scored.of(source, hits.take(rest), queries)
    return scored.joined(others.take(np.flatnonzero(others.cosines >= least[others.which])))


def _likely_hits(
    blocks: Iterable[Block], asked: Asked, count: int, m: int, now: float
) -> tuple[Hits, Float32]:
    """Rows whose cosine can reach what m rows of their query are likely to have, and that floor
    (Q,). It is sharpened whenever twice as many rows were seen."""
    highest = np.full((count, m), NO_SCORE)
    hits, new, sharpened = [Hits.nothing()], [Hits.nothing()], 0
    for seen, codes in _parts(blocks, now):
        new.append(Hits.of(codes, asked, highest[:, 0], seen))
        if seen + len(codes.scale) >= 2 * sharpened:
            sharpened = seen + len(codes.scale)
            found, new = Hits.joined(new), [Hits.nothing()]
            highest = found.highest(highest)
            hits.append(found.reaching(highest[:, 0]))
    found = Hits.joined(new)
    highest = found.highest(highest)
    return Hits.joined([*hits, found]).reaching(highest[:, 0]), highest[:, 0]


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
    is between `low[i]` and `high[i]`, and most likely at least `likely[i]`."""

    which: NDArray[np.int8]
    slots: NDArray[np.int64]
    low: Float32
    likely: Float32
    high: Float32

    @classmethod
    def nothing(cls) -> Hits:
        none = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int8), np.zeros(0, np.int64), none, none, none)

    @classmethod
    def of(cls, codes: Codes, asked: Asked, floor: Float32, before: int) -> Hits:
        """Rows of one part, with so many before it, whose cosine can reach the floor (Q,)."""
        found = scan(codes, asked, floor - asked.slack)
        row, which, score = found["row"], found["which"], found["score"]
        slack = codes.slack[row] + asked.slack[which]
        slots = row.astype(np.int64) + before
        bounds = (score - slack, score - SHARE * slack, score + slack)
        return cls(which.astype(np.int8), slots, *bounds)

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        return cls(*(np.concatenate(arrays) for arrays in zip(*map(_arrays, parts), strict=True)))

    def highest(self, known: Float32) -> Float32:
        """The m highest `likely` of each query, the least of them first (count, m), of these hits
        and of those `known` before."""
        count, m = known.shape
        sizes = np.bincount(self.which, minlength=count)
        by_query = np.argsort(self.which, kind="stable")
        every = np.full((count, m + sizes.max()), NO_SCORE)
        every[:, :m] = known
        every[:, m:][np.arange(sizes.max()) < sizes[:, None]] = self.likely.take(by_query)
        found: Float32 = np.partition(every, -m)[:, -m:]
        return found

    def reaching(self, floor: Float32) -> Hits:
        """Those whose cosine may reach the floor of their query."""
        return self.take(np.flatnonzero(self.high >= np.take(floor, self.which)))

    def take(self, places: NDArray[np.intp]) -> Hits:
        return Hits(*(array.take(places) for array in _arrays(self)))


def _arrays(hits: Hits) -> tuple[NDArray[Any], ...]:
    return hits.which, hits.slots, hits.low, hits.likely, hits.high


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with their exact cosines with a query each."""

    which: NDArray[np.int8]
    rows: Places
    cosines: Float64

    @classmethod
    def of(cls, source: Source, hits: Hits, queries: Float64) -> Scored:
        rows, which = source.rows(hits.slots), hits.which.astype(np.int64)
        found = products(rows.field("key"), which, queries)
        lengths = found[:, 1] * np.einsum("qd,qd->q", queries, queries)[which]
        return cls(hits.which, rows, found[:, 0] / np.sqrt(np.where(lengths == 0, 1, lengths)))

    def take(self, places: NDArray[np.intp]) -> Scored:
        return Scored(self.which.take(places), self.rows.take(places), self.cosines.take(places))

    def joined(self, other: Scored) -> Scored:
        which = np.concatenate([self.which, other.which])
        cosines = np.concatenate([self.cosines, other.cosines])
        return Scored(which, self.rows.joined(other.rows), cosines)

    def best(self, count: int, m: int) -> list[Candidates]:
        """The m best for each of so many queries."""
        order = np.lexsort((-self.cosines, self.which))
        which, exact = self.which[order], self.cosines[order]
        ends = np.cumsum(np.bincount(which, minlength=count))
        last = np.minimum(np.append(0, ends[:-1]) + m, ends)[which] - 1
        kept = np.flatnonzero(exact >= exact[last])  # with all that equal the last of the m
        rows = self.rows.take(order[kept])
        found = Candidates(rows, rows.heads(), exact[kept])
        ends = np.cumsum(np.bincount(which[kept], minlength=count)).tolist()
        parts = zip([0, *ends], ends, strict=False)
        return [_in_order(found.take(slice(start, end)), m) for start, end in parts]


def _in_order(found: Candidates, m: int) -> Candidates:
    """The m best of rows in the order of their cosines: where those are equal, in that of the
    addresses' bytes, then the newest first."""
    exact, free = found.cosines, found.heads["state"] == FREE
    if (exact[1:] != exact[:-1]).all() and not free.any():
        return found
    keys, stamps = found.rows.copies("key"), found.heads["stamp"].tolist()
    order = [(-exact[i], keys[i].tobytes(), -stamp) for i, stamp in enumerate(stamps)]
    places = np.array(sorted(range(len(order)), key=order.__getitem__))
    return found.take(places[~free[places]][:m])
