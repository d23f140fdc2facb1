"""The paper's addressing, linear: w = a·M_ref† with a frozen random M_ref of K rows.

arXiv 2403.11901, section 3: M = W†Z, z_r = w(q)·M. Here with the ridge that our own memory has.
"""

from __future__ import annotations

import numpy as np

from memory_store.fixed import Float64
from memory_store.pages import K
from memory_store.store import Float32

RIDGE = 1e-3


class LinearMemory:
    """Written once with addresses (n, d) and latents (n, C)."""

    def __init__(self, addresses: Float32, latents: Float32, seed: int = 0) -> None:
        d = addresses.shape[1]
        reference = np.random.default_rng(seed).standard_normal((K, d)) / np.sqrt(d)
        self._to_slots: Float64 = np.linalg.pinv(reference)  # (d, K)
        w = addresses @ self._to_slots
        self._memory = np.linalg.solve(w.T @ w + RIDGE * np.eye(K), w.T @ latents)  # (K, C)

    def read(self, queries: Float32) -> Float64:
        """z_r (Q, C)."""
        readout: Float64 = queries @ self._to_slots @ self._memory
        return readout
