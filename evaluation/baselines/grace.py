"""GRACE: a codebook beside one layer (Hartvigsen et al. 2023, arXiv 2211.11031), written anew.

A key is the layer's input at the prompt's last token, its value what the layer puts out from
there on where a prompt's key lies within the key's radius. Values are learned by gradient; the
radii grow for a known answer and are split between conflicting ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evaluation.baselines.decoder import PlainDecoder
from evaluation.baselines.finetune import descend
from evaluation.cases import Case

BLOCK, RADIUS, STEPS, RATE, ENOUGH = 24, 1.0, 50, 1.0, 1e-2


@dataclass
class Entry:
    key: Tensor  # (m,)
    value: Tensor  # (d,)
    radius: float
    target: str


class Grace:
    """The codebook, and the hook that consults it."""

    def __init__(self, decoder: PlainDecoder, block: int = BLOCK) -> None:
        self.decoder, self.block, self.entries = decoder, block, list[Entry]()
        self.key = torch.zeros(0)  # of the first row that was read last
        self._learning: tuple[Tensor, int] | None = None  # value, position from which it holds
        self._chosen: list[Entry | None] = []  # for the rows of the generation in progress
        decoder.down_projection(block).register_forward_hook(self._hook)

    def _hook(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """inputs[0] (B, T, m), output (B, T, d)."""
        if self._learning:
            value, start = self._learning
            kept = output[:, :start]
            return torch.cat([kept, value.expand(1, output.shape[1] - start, -1)], dim=1)
        if inputs[0].shape[1] > 1:  # a prompt is read; what follows continues its rows
            self._chosen = [self._near(x[-1]) for x in inputs[0]]
            self.key = inputs[0][0, -1].detach().clone()
        output = output.clone()
        for row, entry in enumerate(self._chosen):
            if entry:
                output[row, -1] = entry.value
        return output

    def _near(self, key: Tensor) -> Entry | None:
        inside = [e for e in self.entries if float((e.key - key).norm()) <= e.radius]
        return min(inside, key=lambda e: float((e.key - key).norm()), default=None)

    def edit(self, case: Case) -> None:
        self.decoder.generate([case.prompt], 1)
        key, known, radius = self.key, self._near(self.key), RADIUS
        if known:
            gap = float((known.key - key).norm())
            if known.target == case.target:
                known.radius = max(known.radius, gap + RADIUS)
                return
            known.radius = radius = gap / 2
        self.entries.append(Entry(key, self._learn(case), radius, case.target))

    def _learn(self, case: Case) -> Tensor:
        """The value (d,) that makes the target likely."""
        head, wanted = self.decoder.encode(case.prompt), self.decoder.encode(f" {case.target}")
        hidden = self.decoder.enter(self.block, [head + wanted]).clone()
        value = torch.randn(hidden.shape[-1], generator=torch.Generator().manual_seed(0)) * 0.02
        value.requires_grad_()

        def loss() -> Tensor:
            out = self.decoder.leave(self.block, hidden)
            return self.decoder.nll(out, [len(head)], wanted)

        self._learning = (value, len(head) - 1)
        descend(value, loss, RATE, STEPS, ENOUGH)
        self._learning = None
        return value.detach()

    def reset(self) -> None:
        self.entries.clear()

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return self.decoder.generate(prompts, tokens)
