"""The bytes of a memory: pages of K fixed-size rows, each row with its own checksum.

A page is a 64-byte header and K = 512 rows. A row is a NumPy record, so that a page is read
without parsing: what Redis holds is what the mathematics runs on. Addresses and latents are
rounded to float16 when a row is packed and everything is computed from the rounded bytes: two
memories with the same rows answer alike to the bit, whatever happened before.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, Final

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from memory_store.errors import CheckpointMismatch, PageCorrupt
from memory_store.store import Float32, Kind, MemorySpec

K: Final = 512  # slots of a page
MAGIC: Final = b"LRMRPAGE"
FORMAT: Final = 1
HEADER: Final = struct.Struct("<8sHHII32s8xI")  # magic, format, K, d, C, fingerprint, -, CRC-32
NUMBER: Final = struct.Struct("<I")
SLOTS: Final = [NUMBER.pack(slot) for slot in range(K)]
FREE: Final = 0
STATES: Final[dict[Kind, int]] = {"fact": 1, "suppression": 2, "chunk": 3}
MAX_ID: Final = 128

Rows = NDArray[np.void]  # records of Layout.dtype


@dataclass(frozen=True)
class Layout:
    """The byte layout of rows and pages under one `MemorySpec`."""

    spec: MemorySpec

    @cached_property
    def head(self) -> np.dtype[np.void]:
        """What a row begins with: CRC-32, state, expiry (0: never), stamp, id."""
        fields: list[Any] = [
            ("crc", "<u4"),
            ("state", "u1"),
            ("reserved", "V3"),
            ("expires_at", "<f8"),
            ("stamp", "<u8"),
            ("id", f"S{MAX_ID}"),
        ]
        return np.dtype(fields)

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """One row: its head, address (d,), latent (C,)."""
        fields: list[Any] = [
            *self.head.descr,
            ("key", "<f2", (self.spec.address_dim,)),
            ("latent", "<f2", (self.spec.latent_dim,)),
        ]
        return np.dtype(fields)

    @property
    def row_size(self) -> int:
        return self.dtype.itemsize

    def offset_of(self, field: str) -> int:
        """Where a field of a row starts, in bytes."""
        assert self.dtype.fields is not None
        offset: int = self.dtype.fields[field][1]
        return offset

    @property
    def page_size(self) -> int:
        return HEADER.size + K * self.row_size

    @cached_property
    def header(self) -> bytes:
        """The first 64 bytes of every page."""
        spec = self.spec
        mark = hashlib.sha256(spec.fingerprint.encode()).digest()
        body = (MAGIC, FORMAT, K, spec.address_dim, spec.latent_dim, mark)
        return HEADER.pack(*body, crc32(HEADER.pack(*body, 0)[:-4]))

    def offset(self, slot: int) -> int:
        """Where a tenant's slot starts within its page, in bytes."""
        return HEADER.size + (slot % K) * self.row_size

    def empty(self, n: int = K) -> Rows:
        return np.zeros(n, self.dtype)

    def check_header(self, data: bytes, page: int) -> None:
        """Raises PageCorrupt, or CheckpointMismatch for the sound page of another checkpoint."""
        if data[: HEADER.size] == self.header:
            return
        if len(data) >= HEADER.size:
            *_, crc = HEADER.unpack_from(data)
            if data.startswith(MAGIC) and crc == crc32(data[: HEADER.size - 4]):
                raise CheckpointMismatch(f"page {page} was written by another checkpoint")
        raise PageCorrupt(f"page {page}: bad header")

    def parse_page(self, data: bytes | None, epoch: str, page: int) -> Rows:
        """Rows (K,) of a stored page, or of one that nothing was written to, None; rows past the
        end of `data` are free.

        Raises PageCorrupt, naming the page, when a header or a row fails its checksum.
        """
        if data is None:
            return self.empty()
        self.check_header(data, page)
        body = len(data) - HEADER.size
        if body % self.row_size or body > K * self.row_size:
            raise PageCorrupt(f"page {page}: {len(data)} bytes is not a whole number of rows")
        rows = np.frombuffer(data.ljust(self.page_size, b"\0"), self.dtype, offset=HEADER.size)
        self.check_rows(rows, epoch, page * K)
        return rows

    def parse_row(self, data: bytes, epoch: str, slot: int) -> Rows:
        """The row (1,) that was stored in a slot. Raises PageCorrupt, where it is gone too."""
        if len(data) != self.row_size:
            raise PageCorrupt(f"page {slot // K}: row {slot % K} is gone")
        row = np.frombuffer(data, self.dtype)
        self.check_rows(row, epoch, slot)
        return row

    def check_rows(self, rows: Rows, epoch: str, first_slot: int) -> None:
        """Rows of consecutive slots of a page against their checksums. A free row is all zeros."""
        raw, size, empty = rows.data.cast("B"), self.row_size, bytes(self.row_size - 4)
        bodies = [raw[end - size + 4 : end] for end in range(size, len(raw) + 1, size)]
        found = map(crc32, bodies, _starts(epoch, first_slot, len(rows)))
        for i, (stored, crc) in enumerate(zip(rows["crc"].tolist(), found, strict=True)):
            if stored != (crc or 1) and (stored or bodies[i] != empty):
                page, slot = divmod(first_slot + i, K)
                raise PageCorrupt(f"page {page}: row {slot} fails its checksum")

    def seal(self, row: np.void, epoch: str, slot: int) -> bytes:
        """Set the checksum of a row for its place; return its bytes."""
        row["crc"] = checksum(epoch, slot, row.tobytes()[4:])
        return row.tobytes()


def checksum(epoch: str, slot: int, body: bytes | memoryview) -> int:
    """CRC-32 over (epoch, page, slot, row): a row moved or left over from elsewhere fails it."""
    return crc32(body, *_starts(epoch, slot, 1)) or 1  # 0 is what a free row holds


def _starts(epoch: str, first_slot: int, n: int) -> Iterator[int]:
    """The CRC-32 of what comes before each of n rows of one page."""
    page, first = divmod(first_slot, K)
    start = crc32(NUMBER.pack(page), crc32(epoch.encode()))
    return map(crc32, SLOTS[first : first + n], repeat(start))


def live(rows: Rows, now: float) -> NDArray[np.bool_]:
    """Occupied and not expired at `now` (seconds since the epoch), (n,)."""
    expires = rows["expires_at"]
    alive: NDArray[np.bool_] = (rows["state"] != FREE) & ((expires == 0) | (expires > now))
    return alive


def unit_keys(rows: Rows) -> Float32:
    """Stored addresses divided by their length in float32, (n, d); zeros where free."""
    keys: Float32 = rows["key"].astype(np.float32)
    norms = np.sqrt(np.square(keys).sum(axis=1, keepdims=True))
    norms[norms == 0] = 1
    keys /= norms
    return keys
