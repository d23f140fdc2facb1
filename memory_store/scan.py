"""Int8 addresses, and which of them may be among the best for a query, with a certified bound.

A stored address at unit length u is kept as s·n (n int8, s float32) with the length ρ of what is
left, and a query q as t·p (p int8) with ε left. Then

    |u·q - s·t·(n·p)| ≤ ρ|q| + ε|s·n|,

n·p is summed exactly in 32 bits, and float32's roundings are within `rounding`. So level 0 reads a
quarter of float32's bytes and still names every row that can be among the best; those are scored
again, exactly (search.py). scan.c does it in one call a block; without a compiler PyTorch finds
the same hits, slower. `python -m memory_store.scan` compiles at install.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from memory_store.compiled import Compiled, report
from memory_store.store import Float32

Float64 = NDArray[np.float64]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Addresses = NDArray[np.int64]  # of bytes in this process's memory
GROUP: Final = 16  # rows that lie together
FOURS: Final = 4  # numbers of one that do
WIDE: Final = 4  # queries of a tile
LARGEST: Final = 127
WIDEST: Final = 2**31 // (128 * LARGEST)  # more numbers could overflow a sum
SLICE: Final = 4096  # rows widened at once without a compiler
NO_SCORE: Final = np.float32(-2)  # below every cosine
HIT: Final = np.dtype([("row", "<i4"), ("which", "<i4"), ("score", "<f4")])
LIBRARY: Final = Compiled(Path(__file__).with_name("scan.c"), ("-ffp-contract=off",))
log = logging.getLogger(__name__)


def rounding(d: int) -> float:
    """What float32 adds to the bound: γ_d of the length of a stored address, and a few roundings
    (of scores and of a query's length)."""
    u = 2.0**-24
    return 1.02 * (d * u / (1 - d * u) + 16 * u)


@dataclass(frozen=True, slots=True)
class Codes:
    """R addresses. `slack` is ρ and all roundings: with that of the query, how far a score can be
    from the cosine."""

    codes: Int8  # (R / 16, W / 4, 16, 4), R a multiple of 32: as scan.c wants it
    scale: Float32  # (R,)
    slack: Float32  # (R,), -inf for rows that are never to be found

    @classmethod
    def empty(cls, n: int, d: int) -> Codes:
        assert d <= WIDEST
        codes, numbers = (
            np.zeros((n // GROUP, _padded(d) // FOURS, GROUP, FOURS), np.int8),
            np.zeros((2, n), np.float32),
        )
        return cls(codes, numbers[0], numbers[1])

    def put(self, part: slice, unit: Float32) -> None:
        """Quantise unit addresses (n, d) into a part of whole groups; overwrites `unit`."""
        scale = np.maximum(unit.max(axis=1), -unit.min(axis=1)) / np.float32(LARGEST)
        scale[scale == 0] = 1
        unit /= scale[:, None]
        whole = np.rint(unit)
        rows = np.zeros((len(unit), _padded(unit.shape[1])), np.int8)
        rows[:, : unit.shape[1]] = whole
        grouped = rows.reshape(-1, GROUP, rows.shape[1] // FOURS, FOURS)
        self.codes[_groups(part)] = grouped.swapaxes(1, 2)
        unit -= whole
        left = np.sqrt(np.einsum("nd,nd->n", unit, unit)) * scale
        self.scale[part] = scale
        self.slack[part] = 1.001 * left + rounding(unit.shape[1])

    def copy(self, part: slice, other: Codes) -> None:
        self.codes[_groups(part)] = other.codes[_groups(part)]
        self.scale[part], self.slack[part] = other.scale[part], other.slack[part]

    def part(self, start: int, stop: int) -> Codes:
        part = slice(start, stop)
        return Codes(self.codes[_groups(part)], self.scale[part], self.slack[part])

    def by_row(self) -> Int8:
        """As numbers of a row after the other, (R, W)."""
        return self.codes.swapaxes(1, 2).reshape(len(self.scale), -1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Q queries, padded. `slack` is ε|s·n|."""

    whole: Int8  # (P, W)
    total: Int32  # (P,), of the numbers of each
    step: Float32  # (P,)
    slack: Float32  # (Q,)

    @classmethod
    def of(cls, queries: Float64) -> Asked:
        """Of queries (Q, d) of length 0 or 1."""
        count, d = queries.shape
        padded = count if count == 1 else -(-count // WIDE) * WIDE
        whole = np.zeros((padded, _padded(d)), np.int8)
        step = np.ones(padded, np.float32)
        step[:count] = np.abs(queries).max(axis=1) / LARGEST
        step[step == 0] = 1
        wide = step[:count, None].astype(np.float64)
        whole[:count, :d] = np.rint(queries / wide)
        left = queries - whole[:count, :d] * wide
        longest = 1 + d**0.5 / (2 * LARGEST)  # |s·n| ≤ |u| + ρ
        slack = 1.001 * longest * np.sqrt(np.square(left).sum(axis=1))
        return cls(whole, whole.sum(axis=1, dtype=np.int32), step, slack.astype(np.float32))


def scan(rows: Codes, asked: Asked, floor: Float32) -> NDArray[np.void]:
    """Hits (n,) of dtype HIT, in no order: all rows and queries with score + slack of the row at
    least the query's `floor` (Q,), or NO_SCORE if that is higher."""
    native = library()
    floors = np.full(len(asked.whole), np.inf, np.float32)
    floors[: len(floor)] = np.maximum(floor, NO_SCORE)
    if native is None:
        return _scan_in_torch(rows, asked, floors)
    n, width = len(rows.scale), asked.whole.shape[1]
    hits = np.empty(n * len(floors), HIT)  # untouched memory costs nothing
    block = _Block(_at(rows.codes), _at(rows.scale), _at(rows.slack), n, width)
    queries = _Asked(_at(asked.whole), _at(asked.step), _at(floors), _at(asked.total), len(floors))
    found = native.scan(ctypes.byref(block), ctypes.byref(queries), _at(hits))
    return hits[:found].copy()


def products(rows: Addresses, which: NDArray[np.int64], queries: Float64) -> Float64:
    """Exact products (n, 2) of float16 rows that lie at `rows` (n,) with the query that each is
    for (n,), and with themselves."""
    native, width = library(), queries.shape[1]
    found = np.empty((len(rows), 2))
    if native is None:
        for start in range(0, len(rows), SLICE):
            part = slice(start, start + SLICE)
            stored = np.frombuffer(copied(rows[part], 2 * width), np.float16)
            wide = stored.reshape(-1, width).astype(np.float64)
            for i, other in enumerate((queries[which[part]], wide)):
                found[part, i] = np.einsum("nd,nd->n", wide, other)
        return found
    native.exact(_at(rows), _at(which), len(rows), _at(queries), width, _at(found))
    return found


def grams(keys: Addresses, width: int) -> Float64 | None:
    """Exact products (B, m, m) with one another of the float16 rows (width,) that lie at `keys`
    (B, m); 0, at the end of a matrix, is a row of zeros. None without a compiler."""
    native = library()
    if native is None:
        return None
    count, rows = keys.shape
    found = np.zeros((count, rows, rows))
    native.grams(_at(keys), count, rows, width, _at(found))
    return found


def mixtures(latents: Addresses, weights: Float64, width: int) -> Float64 | None:
    """Sums (B, width) of float16 rows that lie at `latents` (B, m), each times its weight (B, m);
    0, at the end of a sum, is a row of zeros. None without a compiler."""
    native = library()
    if native is None:
        return None
    count, rows = latents.shape
    found = np.zeros((count, width))
    native.mixtures(_at(latents), _at(weights), count, rows, width, _at(found))
    return found


def copied(places: Addresses, size: int) -> NDArray[np.uint8]:
    """`size` bytes from each of `places` (n,), (n * size,)."""
    assert places.ndim == 1
    assert places.all()
    native = library()
    if native is None:
        whole = b"".join(ctypes.string_at(place, size) for place in places.tolist())
        return np.frombuffer(whole, np.uint8)
    places, found = np.ascontiguousarray(places), np.empty(len(places) * size, np.uint8)
    native.copy(_at(places), len(places), size, _at(found))
    return found


def _scan_in_torch(rows: Codes, asked: Asked, floors: Float32) -> NDArray[np.void]:
    """The same sums: whole numbers below 2^53 are exact in float64."""
    codes, whole = (torch.from_numpy(x).double() for x in (rows.by_row(), asked.whole))
    scores = (codes @ whole.T).numpy().astype(np.int32).astype(np.float32)  # (R, P)
    scores *= asked.step
    scores *= rows.scale[:, None]
    row, which = np.nonzero(scores + rows.slack[:, None] >= floors)
    hits = np.empty(len(row), HIT)
    hits["row"], hits["which"], hits["score"] = row, which, scores[row, which]
    return hits


def _padded(d: int) -> int:
    return -(-d // FOURS) * FOURS


def _groups(part: slice) -> slice:
    return slice(part.start // GROUP, part.stop // GROUP)


class _Block(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("codes", "scale", "slack")] + [
        (name, ctypes.c_int64) for name in ("rows", "width")
    ]


class _Asked(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("whole", "step", "floor", "total")] + [
        ("count", ctypes.c_int64)
    ]


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The library, built if need be; None, and one line in the log, where it cannot be had."""
    native = LIBRARY.optional("searching", log)
    if native is not None:
        native.scan.restype = ctypes.c_int64
        native.scan.argtypes = [ctypes.c_void_p] * 3
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        native.exact.restype = native.grams.restype = None
        native.mixtures.restype = native.copy.restype = None
        native.exact.argtypes = [pointer, pointer, number, pointer, number, pointer]
        native.grams.argtypes = [pointer, number, number, number, pointer]
        native.mixtures.argtypes = [pointer, pointer, number, number, number, pointer]
        native.copy.argtypes = [pointer, number, number, pointer]
    return native


if __name__ == "__main__":
    report("native search", LIBRARY)
