"""Low-rank adapters that are switched per row of a batch (Hu et al. 2021, arXiv 2106.09685).

A row whose gate is 0 gets `W x + 0`: the base model to the bit, whatever its neighbours do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

PREFIX = "base_model.model."  # PEFT's prefix of tensor names


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    rank: int = 16
    alpha: float = 32.0
    first_block: int = 8  # blocks before it stay untouched


class Gate:
    """Which rows of the current batch have the adapter on; None is none of them."""

    rows: Tensor | None = None  # (B, 1, 1), 0 or 1


class GatedLoRA(nn.Module):
    """y = W x + g · (α/r) B A x, with g per row of the batch."""

    def __init__(
        self, base: nn.Module, sizes: tuple[int, int], config: AdapterConfig, gate: Gate
    ) -> None:
        super().__init__()
        self.base, self.gate, self.scale = base, gate, config.alpha / config.rank
        self.lora_A = nn.Linear(sizes[0], config.rank, bias=False)
        self.lora_B = nn.Linear(config.rank, sizes[1], bias=False)
        nn.init.zeros_(self.lora_B.weight)

    @property
    def transposed(self) -> bool:
        """GPT-2's Conv1D keeps its weight (in, out)."""
        return not isinstance(self.base, nn.Linear)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base(x)
        if self.gate.rows is not None:
            y = y + self.gate.rows * self.lora_B(self.lora_A(x) * self.scale)
        return y


def wrap(model: nn.Module, config: AdapterConfig, gate: Gate) -> Iterator[tuple[str, GatedLoRA]]:
    """Puts an adapter on every linear layer of the blocks from `first_block` on."""
    for name, module in list(model.named_modules()):
        block = re.search(r"\.(\d+)\.", name)
        weight = getattr(module, "weight", None)
        if (
            block is None
            or int(block[1]) < config.first_block
            or weight is None
            or weight.ndim != 2
        ):
            continue
        sizes = (weight.shape[1], weight.shape[0])
        if not isinstance(module, nn.Linear):  # GPT-2's Conv1D keeps its weight transposed
            sizes = (weight.shape[0], weight.shape[1])
        parent, _, leaf = name.rpartition(".")
        wrapped = GatedLoRA(module, sizes, config, gate)
        setattr(model.get_submodule(parent), leaf, wrapped)
        yield name, wrapped


def parameters(adapters: Mapping[str, GatedLoRA]) -> list[nn.Parameter]:
    """What training moves."""
    halves = [half for a in adapters.values() for half in (a.lora_A, a.lora_B)]
    return [cast(nn.Parameter, half.weight) for half in halves]


def state(adapters: Mapping[str, GatedLoRA]) -> dict[str, Tensor]:
    """The adapters under PEFT's tensor names."""
    return {f"{PREFIX}{name}.{half}.weight": getattr(adapter, half).weight
            for name, adapter in adapters.items() for half in ("lora_A", "lora_B")}  # fmt: skip


@torch.no_grad()
def load(adapters: Mapping[str, GatedLoRA], tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError if the tensors were trained for another model."""
    own = state(adapters)
    if own.keys() != tensors.keys():
        raise ValueError("the adapter was trained for another model")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
