"""Level 1 of the search: the least-squares address over each query's best rows, batched.

The reads of many tenants are one call: every query's candidate system is padded to a bucket and
all systems of a bucket are solved together in float64, on whichever device is asked for. Padding
is masked by occupancy, and a query's bucket depends on its own candidates only, so that who else
is in the batch cannot be seen in an answer. reference.py is the specification. The updates of
policy `fixed`, of many tenants in one call as well, are update.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memory_store.fixed import FixedState
from memory_store.pages import STATES
from memory_store.scan import grams
from memory_store.search import Candidates, Source, best_rows, canonical
from memory_store.store import Float32, MemorySpec, Readout, ReadParams

BUCKETS: Final = (8, 16, 32)  # then the params' own m
LATENTS: Final = 2**23  # bytes in float64 that a CPU reads out at once: new memory costs more


class TenantView(Source, Protocol):
    """What a read needs of one tenant at one version."""

    @property
    def spec(self) -> MemorySpec: ...
    @property
    def params(self) -> ReadParams: ...
    @property
    def fixed(self) -> FixedState | None:
        """The state of policy `fixed`; None under `grow`."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One query's share of a Readout."""

    latent: Float32  # (C,)
    clean: Float32  # (C,)
    variance: float
    weights: Float32  # (r,), falling
    ids: tuple[str, ...]  # (r,), in that order
    cosines: Float32  # (r,)
    suppressed: bool


def solve(
    kernel: Tensor, to_query: Tensor, latents: Tensor, mask: Tensor, ridge: float
) -> tuple[Tensor, Tensor, Tensor]:
    """w = κ(q, U)(κ(U, U) + λI)⁻¹, z_r = w M and v = 1 - w κ(U, q), where `mask` is set.

    kernel (B, m, m), to_query (B, m), latents (B, m, C), mask (B, m) → w (B, m), z_r (B, C),
    v (B,) in [0, 1], all float64. Padded rows become rows of the identity and get weight 0; their
    latents are zeros.
    """
    eye = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    both = mask[:, :, None] & mask[:, None, :]  # (B, m, m)
    system = torch.where(both, kernel, eye)
    system.diagonal(dim1=1, dim2=2).add_(ridge)
    rhs = torch.where(mask, to_query, 0)  # (B, m)
    factor = torch.linalg.cholesky(system)
    weights = torch.cholesky_solve(rhs[:, :, None], factor).squeeze(-1)  # (B, m)
    readout = torch.bmm(weights[:, None, :], latents).squeeze(1)  # (B, C)
    variance = (1 - (weights * rhs).sum(-1)).clamp(0, 1)
    return weights, readout, variance


def read_many(
    views: Sequence[TenantView], queries: Sequence[Float32], device: str = "cpu"
) -> list[Readout]:
    """Read queries[i] (Q_i, d) from views[i], all in one batch: one Readout a view.

    Raises ValueError for queries of the wrong width or not finite.
    """
    calls: dict[int, list[int]] = defaultdict(list)
    for i, (view, batch) in enumerate(zip(views, queries, strict=True)):
        if batch.ndim != 2 or batch.shape[1] != view.spec.address_dim:
            raise ValueError(f"queries must have shape (Q, {view.spec.address_dim})")
        calls[id(view)].append(i)
    best: list[list[Candidates]] = [[] for _ in views]
    for members in calls.values():  # one search a view, whoever asks
        view = views[members[0]]
        together = canonical(np.concatenate([queries[i] for i in members]))
        each = iter(best_rows(view, together, view.params.candidates))
        for i in members:
            best[i] = list(islice(each, len(queries[i])))
    answers = _answers(
        [(view, one) for view, part in zip(views, best, strict=True) for one in part], device
    )
    readouts, start = [], 0
    for view, batch in zip(views, queries, strict=True):
        part = answers[start : start + len(batch)]
        readouts.append(_readout(part, view.spec.latent_dim))
        start += len(batch)
    return readouts


def _answers(found: Sequence[tuple[TenantView, Candidates]], device: str) -> list[Answer]:
    buckets: dict[tuple[int, ReadParams], list[int]] = defaultdict(list)
    answers = [_nothing(view.spec) for view, _ in found]
    kept = [_untie(candidates, view.params) for view, candidates in found]
    for i, (view, _) in enumerate(found):
        count = len(kept[i].slots)
        if not count or kept[i].cosines[0] < view.params.floor:
            continue
        if view.fixed is not None:
            answers[i] = _snap(view.fixed, kept[i])
            continue
        size = next((b for b in BUCKETS if count <= b), view.params.candidates)
        buckets[max(size, count), view.params].append(i)
    for (size, params), members in buckets.items():
        each = 8 * size * found[members[0]][0].spec.latent_dim
        together = max(1, LATENTS // each) if device == "cpu" else len(members)
        for start in range(0, len(members), together):
            part = members[start : start + together]
            solved = _solve_bucket([kept[i] for i in part], size, params, device)
            for i, answer in zip(part, solved, strict=True):
                answers[i] = answer
    return answers


def _snap(state: FixedState, found: Candidates) -> Answer:
    """Policy `fixed` is read at the nearest stored address: φ blurs what is only near it."""
    nearest = found.rows[:1]
    read, variance = state.read(nearest)
    latent = read[0].astype(np.float32)
    cosine = found.cosines[:1].astype(np.float32)
    weight, known = np.ones(1, np.float32), (_ids(nearest["id"]), cosine, _suppressed(nearest[0]))
    return Answer(latent, latent, float(variance[0]), weight, *known)


def _untie(candidates: Candidates, params: ReadParams) -> Candidates:
    """Of the rows that answer almost as well as the best, keep only the newest."""
    if len(candidates.slots) < 2:
        return candidates
    distance = 1 - candidates.cosines
    tied = distance <= (1 + params.tie) * distance[0] + params.tie_floor
    if tied.sum() == 1:
        return candidates
    newest = np.argmax(np.where(tied, candidates.rows["stamp"], 0))
    keep = ~tied
    keep[newest] = True
    return Candidates(candidates.slots[keep], candidates.rows[keep], candidates.cosines[keep])


def _solve_bucket(
    found: Sequence[Candidates], size: int, params: ReadParams, device: str
) -> list[Answer]:
    d, c = found[0].rows["key"].shape[1], found[0].rows["latent"].shape[1]
    keys = np.zeros((len(found), size, -(-d // 4) * 4), np.float16)  # (B, m, d), padded for scan.c
    latents = np.zeros((len(found), size, c), np.float16)  # (B, m, C)
    cosines = np.zeros((len(found), size))  # (B, m)
    mask = np.zeros((len(found), size), np.bool_)  # (B, m)
    for b, candidates in enumerate(found):
        n = len(candidates.slots)
        keys[b, :n, :d], latents[b, :n] = candidates.rows["key"], candidates.rows["latent"]
        cosines[b, :n], mask[b, :n] = candidates.cosines, True
    occupied = torch.from_numpy(mask).to(device)
    kernel = gram(keys, params.beta, device)  # (B, m, m)
    to_query = torch.exp(params.beta * (torch.from_numpy(cosines).to(device) - 1))
    values = torch.from_numpy(latents).to(device).float().double()
    weights, readout, variance = solve(kernel, to_query, values, occupied, params.ridge)
    solved = (weights.cpu().numpy(), readout.float().cpu().numpy(), variance.tolist())
    return [_answer(f, w, z, v) for f, w, z, v in zip(found, *solved, strict=True)]


def gram(keys: NDArray[np.float16], beta: float, device: str = "cpu") -> Tensor:
    """κ(U, U) (B, m, m) of keys (B, m, d); exactly 1 on the diagonal, 0-rows included."""
    products = _products(keys, device)
    squares = products.diagonal(dim1=1, dim2=2)  # (B, m)
    squares = torch.where(squares == 0, 1, squares)
    lengths = (squares[:, :, None] * squares[:, None, :]).sqrt_()
    return products.div_(lengths).sub_(1).mul_(beta).exp_()


def _products(keys: NDArray[np.float16], device: str) -> Tensor:
    """U Uᵀ (B, m, m), exact for stored keys: see search.py."""
    native = grams(keys) if device == "cpu" else None
    if native is not None:
        return torch.from_numpy(native)
    wide = torch.from_numpy(keys).to(device).float().double()
    return wide @ wide.mT


def _answer(
    found: Candidates,
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    latent: Float32,
    variance: float,
) -> Answer:
    w = weights[: len(found.slots)]
    order = (-w).argsort(kind="stable")
    first = found.rows[order[0]]
    return Answer(
        latent,
        first["latent"].astype(np.float32),
        variance,
        w[order].astype(np.float32),
        _ids(found.rows["id"][order]),
        found.cosines[order].astype(np.float32),
        _suppressed(first),
    )


def _nothing(spec: MemorySpec) -> Answer:
    empty = np.zeros(0, np.float32)
    nothing = np.zeros(spec.latent_dim, np.float32)
    return Answer(nothing, nothing, 1.0, empty, (), empty, False)


def _readout(answers: Sequence[Answer], latent_dim: int) -> Readout:
    return Readout(
        latent=np.array([a.latent for a in answers], np.float32).reshape(-1, latent_dim),
        clean=np.array([a.clean for a in answers], np.float32).reshape(-1, latent_dim),
        variance=np.array([a.variance for a in answers], np.float32),
        ids=tuple(a.ids for a in answers),
        weights=tuple(a.weights for a in answers),
        cosines=tuple(a.cosines for a in answers),
        suppressed=tuple(a.suppressed for a in answers),
    )


def _ids(stored: NDArray[np.bytes_]) -> tuple[str, ...]:
    return tuple(map(bytes.decode, stored.tolist()))


def _suppressed(row: np.void) -> bool:
    return int(row["state"]) == STATES["suppression"]
