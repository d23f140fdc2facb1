"""The training loop: a step over a batch taken in parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from training.loop import Group, Hardware, Plan, Run


def _gradient(out: Path, accumulate: int) -> tuple[Tensor, float]:
    """What a step over the same eight rows leaves, and its loss."""
    hardware = Hardware(accumulate=accumulate)
    torch.manual_seed(0)
    rows, weight = torch.randn(8, 3), nn.Parameter(torch.ones(3))
    parts = iter(torch.split(rows, hardware.part(len(rows))))
    run = Run(out, [Group([weight], 0.1)], Plan(1, hardware))
    loss = [run.descend(lambda: (next(parts) @ weight).square().mean()) for _ in run]
    assert next(parts, None) is None
    assert weight.grad is not None
    return weight.grad, loss[0]


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(parts: int, tmp_path: Path) -> None:
    assert_close(_gradient(tmp_path, parts), _gradient(tmp_path, 1))
