"""Weights in the bits that they came in.

A model that was quantised on disk is dequantised when transformers loads it; its float32 tensors
hold no more than the file did. `pack` finds the groups' scales again and keeps four or eight bits
a weight where that gives every float32 back (to its rounding), else float32. So nothing is lost:
a base answer and an edited one come from the weights that training and evaluation saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

GROUP = 32  # weights that share a scale
TILE = 12  # rows are padded to a multiple of this
SAMPLE = 48  # rows that are tried before the whole
ROUNDING = 1e-6  # of the group's largest weight


@dataclass(frozen=True, slots=True)
class Packed:
    """W (n, k) as rows of groups; `data` is uint8 (n padded to TILE, bytes of a row)."""

    bits: int  # 4, 8 or 32
    rows: int  # n
    columns: int  # k
    data: Tensor


def pack(weight: Tensor) -> Packed:
    """W (n, k), k a multiple of GROUP, in the fewest bits that hold it."""
    weight = weight.detach().to("cpu", torch.float32)
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // GROUP, GROUP)
    for bits, packed in ((4, _four), (8, _eight)):
        if packed(groups[:SAMPLE]) is not None and (data := packed(groups)) is not None:
            return Packed(bits, rows, columns, _padded(data.reshape(rows, -1)))
    return Packed(32, rows, columns, _padded(groups.contiguous().view(torch.uint8).view(rows, -1)))


def _padded(data: Tensor) -> Tensor:
    return F.pad(data, (0, 0, 0, -len(data) % TILE)).contiguous()


def _four(groups: Tensor) -> Tensor | None:
    """Q4_1: w = scale * q + least, q in 0..15. (n, g, GROUP) → (n, g, 20) bytes."""
    least = groups.amin(-1, keepdim=True).half()
    scale = ((groups.amax(-1, keepdim=True) - least) / 15).half()
    q = ((groups - least) / scale).nan_to_num_(0, 0, 0).round_().clamp_(0, 15)
    if not _same(q * scale + least, groups):
        return None
    q = q.to(torch.uint8)
    half = GROUP // 2
    return torch.cat([_bytes(scale), _bytes(least), q[..., :half] | q[..., half:] << 4], -1)


def _eight(groups: Tensor) -> Tensor | None:
    """Q8_0: w = scale * q, q in -127..127. (n, g, GROUP) → (n, g, 34) bytes."""
    scale = (groups.abs().amax(-1, keepdim=True) / 127).half()
    q = (groups / scale).nan_to_num_(0, 0, 0).round_().clamp_(-127, 127)
    if not _same(q * scale, groups):
        return None
    return torch.cat([_bytes(scale), q.to(torch.int8).view(torch.uint8)], -1)


def _bytes(half: Tensor) -> Tensor:
    return half.contiguous().view(torch.uint8)


def _same(restored: Tensor, groups: Tensor) -> bool:
    limit = groups.abs().amax(-1, keepdim=True) * ROUNDING
    return bool(((restored - groups).abs() <= limit).all())
