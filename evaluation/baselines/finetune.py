"""FT-M: gradient steps on one block's MLP, loss on the target's tokens only.

The settings are EasyEdit's (zjunlp/EasyEdit): block 21, 25 steps of 5e-4 with Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from evaluation.baselines.decoder import PlainDecoder
from evaluation.cases import Case

BLOCK, STEPS, RATE, ENOUGH = 21, 25, 5e-4, 1e-2


class FTM:
    """Edits add up in the weights of `BLOCK`."""

    def __init__(self, decoder: PlainDecoder, block: int = BLOCK) -> None:
        self.decoder, self.block = decoder, block
        self.weight = decoder.down_projection(block).weight
        self.original = self.weight.detach().clone()

    def edit(self, case: Case) -> None:
        head, wanted = self.decoder.encode(case.prompt), self.decoder.encode(f" {case.target}")
        hidden = self.decoder.enter(self.block, [head + wanted]).clone()

        def loss() -> Tensor:
            out = self.decoder.leave(self.block, hidden)
            return self.decoder.nll(out, [len(head)], wanted)

        self.weight.requires_grad_(True)
        descend(self.weight, loss, RATE, STEPS, ENOUGH)
        self.weight.requires_grad_(False)

    def reset(self) -> None:
        self.weight.data.copy_(self.original)

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return self.decoder.generate(prompts, tokens)


def descend(
    moved: Tensor,
    loss: Callable[[], Tensor],
    rate: float,
    steps: int,
    enough: float,
    after: Callable[[], None] | None = None,
) -> None:
    """Adam on one tensor until the loss is below `enough`; `after` each step."""
    optimiser = torch.optim.Adam([moved], lr=rate)
    for _ in range(steps):
        value = loss()
        if value.item() < enough:
            return
        optimiser.zero_grad()
        torch.autograd.backward(value)
        optimiser.step()
        if after:
            after()
