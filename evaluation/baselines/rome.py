"""ROME: one rank-one change of an MLP matrix an edit (Meng et al. 2022, arXiv 2202.05262).

Written anew from the paper. k is the mean key of the subject's last token over contexts; v the
output there that makes the target likely, found by gradient, held near by a KL term on
"{subject} is a"; then W <- W + (v - W k) (C^-1 k)^T / (k^T C^-1 k), with C = E[k k^T] over
running text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.baselines.decoder import PlainDecoder
from evaluation.baselines.finetune import descend
from evaluation.cases import Case

BLOCK, STEPS, RATE, DECAY, KL, CLAMP, ENOUGH = 5, 20, 0.5, 0.5, 0.0625, 4.0, 5e-2
CONTEXTS = ("", "The following is known. ", "He wrote about it. ")
WINDOW = 256  # tokens of a passage


class Rome:
    """Edits add up in the weights of `BLOCK`."""

    def __init__(self, decoder: PlainDecoder, text: Sequence[str], block: int = BLOCK) -> None:
        self.decoder, self.block = decoder, block
        self.layer = decoder.down_projection(block)
        self.original = self.layer.weight.detach().clone()
        self._keys = torch.zeros(0)  # (B, T, m): what the layer read last
        self.layer.register_forward_hook(self._see)
        self.covariance = self._covariance(text)  # (m, m)

    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._keys = inputs[0]

    def _covariance(self, text: Sequence[str]) -> Tensor:
        """E[k k^T] over the text's tokens; only the first blocks are run."""
        size = self.layer.in_features
        total, count = torch.zeros(size, size), 0
        for passage in text:
            self.decoder.enter(self.block + 1, [self.decoder.encode(passage)[:WINDOW]])
            total.addmm_(self._keys[0].T, self._keys[0])
            count += self._keys.shape[1]
        return (total / count).double()

    def edit(self, case: Case) -> None:
        prompts = [context + case.prompt for context in CONTEXTS]
        ends = [self._subject_end(p, case.subject) for p in prompts]
        rows = [self.decoder.encode(p) for p in prompts]
        self.decoder.enter(self.block + 1, rows)
        key = torch.stack([k[end] for k, end in zip(self._keys, ends, strict=True)]).mean(0)
        value = self._value(case, rows, ends)
        along = torch.linalg.solve(self.covariance, key.double()).float()  # C^-1 k
        missing = value - self.layer.weight @ key
        self.layer.weight.data += torch.outer(missing, along) / (along @ key)

    def _subject_end(self, prompt: str, subject: str) -> int:
        """Position of the subject's last token."""
        before = prompt[: prompt.index(subject) + len(subject)]
        return len(self.decoder.encode(before)) - 1

    def _value(self, case: Case, rows: Sequence[list[int]], ends: Sequence[int]) -> Tensor:
        """v (d,): the layer's output at the subject, moved until the target is likely."""
        wanted = self.decoder.encode(f" {case.target}")
        essence = self.decoder.encode(f"{case.subject} is a")
        at = [*ends, self._subject_end(case.subject, case.subject)]
        after = self.decoder.enter(self.block + 1, [*(r + wanted for r in rows), essence]).clone()
        start = (self.layer.weight @ self._keys[0, ends[0]]).clone()
        places = F.one_hot(torch.tensor(at), after.shape[1]).unsqueeze(-1).float()  # (B, T, 1)
        delta = torch.zeros_like(start, requires_grad=True)

        def out() -> Tensor:  # the block adds what the layer puts out to what passes by
            return self.decoder.leave(self.block + 1, after + places * delta)

        def said(hidden: Tensor) -> Tensor:
            logits: Tensor = self.decoder.model.lm_head(hidden[-1, len(essence) - 1])
            return F.log_softmax(logits, -1)

        with torch.no_grad():
            before = said(out())

        def loss() -> Tensor:
            hidden = out()
            nll = self.decoder.nll(hidden[:-1], [len(r) for r in rows], wanted)
            drift = F.kl_div(said(hidden), before, log_target=True, reduction="sum")
            total: Tensor = nll + KL * drift + DECAY * delta.norm() / start.norm() ** 2
            return total

        def clamp() -> None:
            delta.data *= min(1.0, CLAMP * float(start.norm()) / float(delta.data.norm()))

        descend(delta, loss, RATE, STEPS, ENOUGH, clamp)
        return start + delta.detach()

    def reset(self) -> None:
        self.layer.weight.data.copy_(self.original)

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return self.decoder.generate(prompts, tokens)
