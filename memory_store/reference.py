"""The specification of a `grow` read: one query, float64, nothing batched, nothing clever.

The paper's address w = z·M† (arXiv 2403.11901, Eq. 2), kernelised: κ(x, y) = exp(β(cos(x, y) - 1)),
w = κ(q, U)(κ(U, U) + λI)⁻¹ over the m rows nearest to q, z_r = w M, and the posterior variance
v = 1 - w κ(U, q) of a Gaussian process with that kernel. kernel.py is held to this by tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_store.store import ReadParams

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def read(
    query: Float64, keys: Float64, latents: Float64, stamps: Int64, params: ReadParams
) -> tuple[Float64, float, Int64, Float64]:
    """query (d,), keys (n, d), latents (n, C), stamps (n,) → z_r (C,), v, rows (r,), weights (r,).

    `rows` are the indices that the solve used. Nothing above the floor: zeros, 1, no rows.
    """
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    cos = unit @ (query / np.linalg.norm(query))
    nearest = sorted(range(len(cos)), key=lambda i: -cos[i])[: params.candidates]
    if not nearest or cos[nearest[0]] < params.floor:
        return np.zeros(latents.shape[1]), 1.0, np.zeros(0, np.int64), np.zeros(0)
    reach = (1 + params.tie) * (1 - cos[nearest[0]]) + params.tie_floor
    newest = max((i for i in nearest if 1 - cos[i] <= reach), key=lambda i: stamps[i])
    rows = np.array([i for i in nearest if 1 - cos[i] > reach or i == newest], np.int64)
    kernel = np.exp(params.beta * (unit[rows] @ unit[rows].T - 1))
    to_query = np.exp(params.beta * (cos[rows] - 1))
    weights = np.linalg.solve(kernel + params.ridge * np.eye(len(rows)), to_query)
    variance = float(np.clip(1 - weights @ to_query, 0, 1))
    return weights @ latents[rows], variance, rows, weights
