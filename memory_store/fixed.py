"""Policy `fixed`: the paper's memory, K x C for ever, whatever is written.

Addresses are seen through frozen random Fourier features w = φ(a) of the kernel κ, the paper's
reference memory M_ref (arXiv 2403.11901, section 3.2). Writing and forgetting are one sequential
least-squares update with α = ±1 (Eq. 3-4):

    Λ ← Λ + αWᵀW,   M ← M + αΛ⁻¹Wᵀ(Z - WM)

Stored are Λ and B = ΣWᵀZ in float64, to which an update only adds; M = Λ⁻¹B. A state that has
been solved is carried on by Woodbury's identity (update.py), which is much cheaper than solving
anew; after a forget, and after many writes, it is solved anew all the same, so that errors stay
below 1e-9. update.py takes many tenants in one call; here it is given one, since each tenant's
changes are transactions of their own.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch
from isal.isal_zlib import crc32
from numpy.typing import NDArray
from torch import Tensor

from memory_store.errors import CheckpointMismatch, PageCorrupt
from memory_store.pages import K, Rows
from memory_store.store import MemorySpec, ReadParams
from memory_store.update import update_many

Float64 = NDArray[np.float64]
MAGIC: Final = b"LRMRFIXD"
HEADER: Final = struct.Struct("<8sHxxIIIQdd32sI")  # magic, format, K, d, C, seed, β, λ, mark, CRC
MAX_AGE: Final = 64  # updates that a solution is carried over


@dataclass(frozen=True, slots=True)
class Reference:
    """The frozen features: which random frequencies, for which kernel."""

    seed: int
    beta: float
    ridge: float
    address_dim: int

    def features(self, addresses: Float64) -> Float64:
        """φ(a) (n, K) of unit addresses (n, d): φ(x)·φ(y) ≈ κ(x, y) and φ(x)·φ(x) = 1."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        frequencies = rng.normal(scale=np.sqrt(self.beta), size=(self.address_dim, K // 2))
        phases = addresses @ frequencies
        both: Float64 = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
        both /= np.sqrt(K // 2)
        return both


@dataclass(frozen=True)
class FixedState:
    """Λ (K, K) and B (K, C), float64."""

    reference: Reference
    gram: Float64
    cross: Float64
    age: int = 0

    @classmethod
    def empty(cls, spec: MemorySpec, params: ReadParams, seed: int = 0) -> FixedState:
        """Λ₀ = λI, B₀ = 0."""
        reference = Reference(seed, params.beta, params.ridge, spec.address_dim)
        return cls(reference, params.ridge * np.eye(K), np.zeros((K, spec.latent_dim)))

    @cached_property
    def solved(self) -> tuple[Tensor, Tensor]:
        """Λ⁻¹ (K, K) and M = Λ⁻¹B (K, C), row by row in memory, as updates want them."""
        factor = torch.linalg.cholesky(torch.from_numpy(self.gram))
        inverse = torch.cholesky_inverse(factor).contiguous()
        return inverse, torch.cholesky_solve(torch.from_numpy(self.cross), factor).contiguous()

    def change(self, gone: Rows, new: Rows) -> FixedState:
        """Forget the rows `gone`, write the rows `new`: one update."""
        rows = np.concatenate([gone, new])
        w, z = self._design(rows)  # (n, K), (n, C)
        alpha = np.repeat([-1.0, 1.0], [len(gone), len(new)])  # (n,)
        weighted = w.T * alpha  # (K, n)
        after = replace(
            self, gram=self.gram + weighted @ w, cross=self.cross + weighted @ z, age=self.age + 1
        )
        # Carried through a forget, errors grow by 1/λ: it takes away nearly all there is.
        if "solved" in self.__dict__ and after.age < MAX_AGE and not len(gone):
            batch = [torch.from_numpy(x)[None] for x in (w, z, alpha)]
            inverse, memory = update_many(*(x[None].clone() for x in self.solved), *batch)
            after.__dict__["solved"] = (inverse[0], memory[0])
            return after
        return replace(after, age=0)

    def agreeing_with(self, stored: FixedState) -> FixedState:
        """The stored sums, which count, with the solution that was carried on to them."""
        agreed = replace(stored, age=self.age)
        if "solved" in self.__dict__:
            agreed.__dict__["solved"] = self.solved
        return agreed

    def _design(self, rows: Rows) -> tuple[Float64, Float64]:
        return self.reference.features(unit64(rows)), rows["latent"].astype(np.float64)

    def read(self, rows: Rows) -> tuple[Float64, Float64]:
        """At the addresses of stored rows (n,): z_r = φM (n, C) and v = λφΛ⁻¹φᵀ (n,)."""
        w = torch.from_numpy(self.reference.features(unit64(rows)))  # (n, K)
        inverse, memory = self.solved
        variance = self.reference.ridge * ((w @ inverse) * w).sum(1)
        return (w @ memory).numpy(), variance.clamp(0, 1).numpy()

    @property
    def count(self) -> int:
        """How many rows are in the sums: tr Λ - λK, for φ has unit length."""
        return round(float(np.trace(self.gram)) - self.reference.ridge * K)

    @property
    def nbytes(self) -> int:
        """Λ, B, Λ⁻¹ and M."""
        return 2 * (self.gram.nbytes + self.cross.nbytes)

    def pack(self, spec: MemorySpec, epoch: str) -> bytes:
        body = self.gram.tobytes() + self.cross.tobytes()
        return _header(self.reference, spec, crc32(body, crc32(epoch.encode()))) + body


def unit64(rows: Rows) -> Float64:
    """Stored addresses at unit length, (n, d)."""
    keys = rows["key"].astype(np.float64)
    unit: Float64 = keys / np.sqrt(np.square(keys).sum(axis=1, keepdims=True))
    return unit


def parse(data: bytes, spec: MemorySpec, epoch: str) -> FixedState:
    """Raises PageCorrupt and CheckpointMismatch."""
    if len(data) != HEADER.size + 8 * K * (K + spec.latent_dim):
        raise PageCorrupt("page fixed: wrong length")
    _, _, _, d, c, seed, beta, ridge, _, crc = HEADER.unpack_from(data)
    reference, body = Reference(seed, beta, ridge, d), data[HEADER.size :]
    if crc32(body, crc32(epoch.encode())) != crc:
        raise PageCorrupt("page fixed fails its checksum")
    if data[: HEADER.size] != _header(reference, spec, crc):
        raise CheckpointMismatch("page fixed was written by another checkpoint")
    numbers = np.frombuffer(body).copy()  # torch wants what it may write to
    return FixedState(reference, numbers[: K * K].reshape(K, K), numbers[K * K :].reshape(K, c))


def _header(reference: Reference, spec: MemorySpec, crc: int) -> bytes:
    mark = hashlib.sha256(spec.fingerprint.encode()).digest()
    shape: Sequence[int] = (K, spec.address_dim, spec.latent_dim, reference.seed)
    return HEADER.pack(MAGIC, 1, *shape, reference.beta, reference.ridge, mark, crc)
