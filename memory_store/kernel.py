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
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memory_store import scan
from memory_store.fixed import FixedState
from memory_store.pages import STATES
from memory_store.places import Places
from memory_store.scan import Float64
from memory_store.search import Candidates, Source, best_rows, canonical
from memory_store.store import Float32, MemorySpec, Readout, ReadParams

BUCKETS: Final = (8, 16, 32)  # then the params' own m


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


def solve(kernel: Tensor, to_query: Tensor, mask: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """w = κ(q, U)(κ(U, U) + λI)⁻¹ and v = 1 - w κ(U, q), where `mask` is set.

    kernel (B, m, m), to_query (B, m), mask (B, m) → w (B, m), v (B,) in [0, 1], all float64.
    Padded rows become rows of the identity and get weight 0.
    """
    eye = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    both = mask[:, :, None] & mask[:, None, :]  # (B, m, m)
    system = torch.where(both, kernel, eye)
    system.diagonal(dim1=1, dim2=2).add_(ridge)
    rhs = torch.where(mask, to_query, 0)  # (B, m)
    factor = torch.linalg.cholesky(system)
    weights = torch.cholesky_solve(rhs[:, :, None], factor).squeeze(-1)  # (B, m)
    return weights, (1 - (weights * rhs).sum(-1)).clamp(0, 1)


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
        count = len(kept[i])
        if not count or kept[i].cosines[0] < view.params.floor:
            continue
        if view.fixed is not None:
            answers[i] = _snap(view.fixed, kept[i])
            continue
        size = next((b for b in BUCKETS if count <= b), view.params.candidates)
        buckets[max(size, count), view.params].append(i)
    for (size, params), members in buckets.items():
        solved = _solve_bucket([kept[i] for i in members], size, params, device)
        for i, answer in zip(members, solved, strict=True):
            answers[i] = answer
    return answers


def _snap(state: FixedState, found: Candidates) -> Answer:
    """Policy `fixed` is read at the nearest stored address: φ blurs what is only near it."""
    nearest = found.take(slice(0, 1))
    read, variance = state.read(nearest.rows.whole())
    latent = read[0].astype(np.float32)
    cosine, heads = nearest.cosines.astype(np.float32), nearest.heads
    weight, known = np.ones(1, np.float32), (_ids(heads["id"]), cosine, _suppressed(heads[0]))
    return Answer(latent, latent, float(variance[0]), weight, *known)


def _untie(candidates: Candidates, params: ReadParams) -> Candidates:
    """Of the rows that answer almost as well as the best, keep only the newest."""
    if len(candidates) < 2:
        return candidates
    distance = 1 - candidates.cosines
    tied = distance <= (1 + params.tie) * distance[0] + params.tie_floor
    if tied.sum() == 1:
        return candidates
    newest = np.argmax(np.where(tied, candidates.heads["stamp"], 0))
    keep = ~tied
    keep[newest] = True
    return candidates.take(keep)


def _solve_bucket(
    found: Sequence[Candidates], size: int, params: ReadParams, device: str
) -> list[Answer]:
    at = np.zeros((len(found), size), np.int64)  # (B, m), 0 where a query has no row left
    cosines = np.zeros((len(found), size))  # (B, m)
    for b, candidates in enumerate(found):
        at[b, : len(candidates)] = candidates.rows.at
        cosines[b, : len(candidates)] = candidates.cosines
    rows = Places(found[0].rows.layout, at, found)
    kernel = gram(rows, params.beta, device)  # (B, m, m)
    to_query = torch.exp(params.beta * (torch.from_numpy(cosines).to(device) - 1))
    occupied = torch.from_numpy(at != 0).to(device)
    weights, variance = solve(kernel, to_query, occupied, params.ridge)
    readout = mixtures(rows, weights)  # (B, C)
    w = weights.cpu().numpy()
    falling = np.argsort(np.where(at == 0, np.inf, -w), axis=1, kind="stable")  # (B, m)
    first = np.take_along_axis(at, falling[:, :1], axis=1)[:, 0]
    clean = replace(rows, at=first).copies("latent").astype(np.float32)  # (B, C)
    solved = (w, falling, readout.float().cpu().numpy(), clean, variance.tolist())
    return [_answer(*one) for one in zip(found, *solved, strict=True)]


def gram(rows: Places, beta: float, device: str = "cpu") -> Tensor:
    """κ(U, U) (B, m, m) of rows (B, m); exactly 1 on the diagonal where there is a row."""
    width = rows.layout.spec.address_dim
    native = scan.grams(rows.field("key"), width) if device == "cpu" else None
    if native is None:
        keys = _numbers(rows, "key", device)
        products = keys @ keys.mT  # exact for stored addresses, as the native ones: see search.py
    else:
        products = torch.from_numpy(native)
    squares = products.diagonal(dim1=1, dim2=2)  # (B, m)
    squares = torch.where(squares == 0, 1, squares)
    lengths = (squares[:, :, None] * squares[:, None, :]).sqrt_()
    return products.div_(lengths).sub_(1).mul_(beta).exp_()


def mixtures(rows: Places, weights: Tensor) -> Tensor:
    """z_r = w M (B, C) of rows (B, m) and weights (B, m), float64."""
    if weights.device.type == "cpu":
        width = rows.layout.spec.latent_dim
        native = scan.mixtures(rows.field("latent"), weights.numpy(), width)
        if native is not None:
            return torch.from_numpy(native)
    latents = _numbers(rows, "latent", weights.device)
    return torch.bmm(weights[:, None, :], latents).squeeze(1)


def _numbers(rows: Places, field: str, device: torch.device | str) -> Tensor:
    """A field of rows (B, m) in float64, (B, m, n); zeros where there is no row."""
    occupied = rows.at != 0
    kind = rows.layout.dtype[field]
    found = np.zeros((*rows.at.shape, *kind.shape), kind.base)
    found[occupied] = rows.take(occupied).copies(field)
    return torch.from_numpy(found).to(device).double()


def _answer(
    found: Candidates,
    weights: Float64,
    falling: NDArray[np.int64],
    latent: Float32,
    clean: Float32,
    variance: float,
) -> Answer:
    order = falling[: len(found)]
    heads = found.heads[order]
    w, cosines = (x[order].astype(np.float32) for x in (weights, found.cosines))
    return Answer(latent, clean, variance, w, _ids(heads["id"]), cosines, _suppressed(heads[0]))


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
