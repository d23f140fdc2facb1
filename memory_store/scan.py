"""Int8 addresses, and which of them may be among the best for a query, with a certified bound.

A stored address at unit length u is kept as s·n (n int8, s float32) with the length ρ of what is
left, and a query q as t·p (p int16) with ε left. Then

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
Int16 = NDArray[np.int16]
GROUP: Final = 8  # rows that lie together
WIDE: Final = 4  # queries of a tile
NO_SCORE: Final = np.float32(-2)  # below every cosine
HIT: Final = np.dtype([("row", "<i4"), ("which", "<i4"), ("score", "<f4")])
LIBRARY: Final = Compiled(Path(__file__).with_name("scan.c"), ("-ffp-contract=off",))
log = logging.getLogger(__name__)


def rounding(d: int) -> float:
    """What float32 adds to the bound: γ_d of a sum of d in any order, and a few roundings."""
    u = 2.0**-24
    return 1.02 * (d * u / (1 - d * u) + 16 * u)


@dataclass(frozen=True, slots=True)
class Codes:
    """R addresses. `slack` is ρ and all roundings: how far a score can be from the cosine."""

    codes: Int8  # (R / 8, W / 2, 8, 2), R a multiple of 32: as scan.c wants it
    scale: Float32  # (R,)
    slack: Float32  # (R,), -inf for rows that are never to be found

    @classmethod
    def empty(cls, n: int, d: int) -> Codes:
        codes, numbers = (
            np.zeros((n // GROUP, _even(d) // 2, GROUP, 2), np.int8),
            np.zeros((2, n), np.float32),
        )
        return cls(codes, numbers[0], numbers[1])

    def put(self, part: slice, unit: Float32) -> None:
        """Quantise unit addresses (n, d) into a part of whole groups; overwrites `unit`."""
        scale = np.maximum(unit.max(axis=1), -unit.min(axis=1)) / np.float32(127)
        scale[scale == 0] = 1
        unit /= scale[:, None]
        whole = np.rint(unit)
        rows = np.zeros((len(unit), _even(unit.shape[1])), np.int8)
        rows[:, : unit.shape[1]] = whole
        self.codes[_groups(part)] = rows.reshape(-1, GROUP, rows.shape[1] // 2, 2).swapaxes(1, 2)
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

    whole: Int16  # (P, W)
    step: Float32  # (P,)
    slack: Float32  # (Q,)

    @classmethod
    def of(cls, queries: Float64) -> Asked:
        """Of queries (Q, d) of length 0 or 1."""
        count, d = queries.shape
        padded = count if count == 1 else -(-count // WIDE) * WIDE
        whole = np.zeros((padded, _even(d)), np.int16)
        largest = min(2**15 - 1, (2**31 - 1) // (127 * d))  # no sum overflows
        step = np.ones(padded, np.float32)
        step[:count] = np.abs(queries).max(axis=1) / largest
        step[step == 0] = 1
        whole[:count, :d] = np.rint(queries / step[:count, None].astype(np.float64))
        left = queries - whole[:count, :d] * step[:count, None].astype(np.float64)
        longest = 1 + d**0.5 / 254  # |s·n| ≤ |u| + ρ
        slack = 1.001 * longest * np.sqrt(np.square(left).sum(axis=1))
        return cls(whole, step, slack.astype(np.float32))


def scan(rows: Codes, asked: Asked, floor: Float32) -> NDArray[np.void]:
    """Hits (n,) of dtype HIT, in no order: all rows and queries with score + slack of the row at
    least the query's `floor` (Q,), which is above NO_SCORE."""
    native = library()
    floors = np.full(len(asked.whole), np.inf, np.float32)
    floors[: len(floor)] = np.maximum(floor, NO_SCORE)
    if native is None:
        return _scan_in_torch(rows, asked, floors)
    n, width = len(rows.scale), asked.whole.shape[1]
    hits = np.empty(n * len(floors), HIT)  # untouched memory costs nothing
    block = _Block(_at(rows.codes), _at(rows.scale), _at(rows.slack), n, width)
    queries = _Asked(_at(asked.whole), _at(asked.step), _at(floors), len(floors))
    found = native.scan(ctypes.byref(block), ctypes.byref(queries), _at(hits))
    return hits[:found].copy()


def products(
    places: NDArray[np.int64], which: NDArray[np.int64], queries: Float64
) -> Float64 | None:
    """Exact products (n, 2) of float16 rows that lie at `places` of memory (n,) with the query that
    each is for (n,), and with themselves; None without a compiler."""
    native = library()
    if native is None:
        return None
    found = np.empty((len(places), 2))
    count, width = len(places), queries.shape[1]
    native.exact(_at(places), _at(which), count, _at(queries), width, _at(found))
    return found


def grams(keys: NDArray[np.float16]) -> Float64 | None:
    """Exact products (B, m, m) of the rows of matrices (B, m, W), m at least 8 and W a multiple of
    4, with one another; None without a compiler."""
    native = library()
    if native is None:
        return None
    count, rows, width = keys.shape
    found = np.empty((count, rows, rows))
    native.grams(_at(keys), count, rows, width, _at(found))
    return found


def copied(places: NDArray[np.int64], size: int) -> NDArray[np.uint8] | None:
    """`size` bytes from each of `places` of memory (n,), (n * size,); None without a compiler."""
    native = library()
    if native is None:
        return None
    found = np.empty(len(places) * size, np.uint8)
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


def _even(n: int) -> int:
    return n + n % 2


def _groups(part: slice) -> slice:
    return slice(part.start // GROUP, part.stop // GROUP)


class _Block(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("codes", "scale", "slack")] + [
        (name, ctypes.c_int64) for name in ("rows", "width")
    ]


class _Asked(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("whole", "step", "floor")] + [
        ("count", ctypes.c_int64)
    ]


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The library, built if need be; None, and one line in the log, where it cannot be had."""
    native = LIBRARY.optional("searching", log)
    if native is not None:
        native.scan.restype = ctypes.c_int64
        native.scan.argtypes = [ctypes.c_void_p] * 3
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        native.exact.restype = native.grams.restype = native.copy.restype = None
        native.exact.argtypes = [pointer, pointer, number, pointer, number, pointer]
        native.grams.argtypes = [pointer, number, number, number, pointer]
        native.copy.argtypes = [pointer, number, number, pointer]
    return native


if __name__ == "__main__":
    report("native search", LIBRARY)
