"""Weights come back from their packed form as they went in, or are not packed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.engine.native.packing import GROUP, TILE, pack


def quantised(bits: int, rows: int = 50, columns: int = 96) -> Tensor:
    """Weights as a file of so many bits holds them, a group of equal ones among them."""
    g = torch.Generator().manual_seed(bits)
    groups = torch.randn(rows, columns // GROUP, GROUP, generator=g) * 0.05
    if bits == 4:
        least = groups.amin(-1, keepdim=True).half().float()
        scale = ((groups.amax(-1, keepdim=True) - least) / 15).half().float()
        groups = ((groups - least) / scale).round().clamp(0, 15) * scale + least
    else:
        scale = (groups.abs().amax(-1, keepdim=True) / 127).half().float()
        groups = (groups / scale).round().clamp(-127, 127) * scale
    groups[0, 0] = 0.0
    return groups.view(rows, columns)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_packed_into_their_bits(bits: int) -> None:
    weight = quantised(bits)
    packed = pack(weight)
    assert (packed.bits, packed.rows, packed.columns) == (bits, *weight.shape)
    assert len(packed.data) % TILE == 0
    bytes_a_group = {4: 20, 8: 34}[bits]
    assert packed.data.shape[1] == weight.shape[1] // GROUP * bytes_a_group


def test_other_weights_stay_as_they_are() -> None:
    weight = torch.randn(7, 64)
    packed = pack(weight)
    assert packed.bits == 32
    assert torch.equal(packed.data[:7].view(torch.float32), weight)


def test_one_weight_off_the_grid_is_noticed() -> None:
    weight = quantised(4, rows=100)
    weight[99, 40] += 0.001
    assert pack(weight).bits == 32
