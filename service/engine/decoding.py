"""Continuous batching: rows join and leave a running decode batch at token boundaries.

A step adds a token to every row whose prompt is in, and a chunk to prompts that are not, so that
a long prompt does not stall the others. A row's tokens do not depend on who else is in the batch.
Knows token ids only; text.py makes text of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from service.engine.forward import Part, forward_of
from service.engine.protocol import Sampling
from service.model.decoder import Decoder


@dataclass(eq=False)
class Row:
    """One sequence being decoded."""

    prompt: list[int]
    adapted: bool
    sampling: Sampling
    limit: int  # tokens to generate at most
    generated: list[int] = field(default_factory=list)
    logprobs: list[tuple[float, list[tuple[int, float]]]] = field(default_factory=list)
    generator: torch.Generator | None = None
    slot: int = -1
    held: int = 0  # tokens whose keys and values are in the slot

    @property
    def longest(self) -> int:
        """Tokens that the slot may come to hold."""
        return len(self.prompt) + self.limit


class DecodeBatch:
    """The running batch. `step()` adds tokens and returns the rows that have a new one."""

    def __init__(self, decoder: Decoder, slots: int = 32, budget: int = 32_768) -> None:
        self.forward = forward_of(decoder, slots, budget)
        self.rows: list[Row] = []

    def room(self, row: Row) -> bool:
        """Can the row join now?"""
        return self.forward.room(row.longest)

    def join(self, row: Row) -> None:
        """The row's prompt goes in with the next steps."""
        row.slot, row.held = self.forward.open(row.longest), 0
        self.rows.append(row)

    def leave(self, row: Row) -> None:
        """Frees the row's slot."""
        self.rows.remove(row)
        self.forward.close(row.slot)

    def step(self) -> list[Row]:
        """One token for every row, but for those whose prompt is not in yet."""
        filling = {id(r): n for r, n in self._share([r for r in self.rows if not r.generated])}
        stepped: list[tuple[Row, Part]] = []
        for row in self.rows:
            if row.generated:
                part = Part(row.slot, row.held, row.generated[-1:], row.adapted, True)
            elif count := filling[id(row)]:
                end = row.held + count
                ids, whole = row.prompt[row.held : end], end == len(row.prompt)
                part = Part(row.slot, row.held, ids, row.adapted, whole)
            else:
                continue
            stepped.append((row, part))
        logits = self.forward.extend([part for _, part in stepped])
        for row, part in stepped:
            row.held += len(part.ids)
        rows = [row for row, part in stepped if part.wanted]
        self._sample(rows, logits)
        return rows

    def _share(self, rows: Sequence[Row]) -> list[tuple[Row, int]]:
        """How many prompt tokens of each row go in: equal shares, the rest to who needs more."""
        left, shares = self.forward.chunk, []
        need = sorted(rows, key=lambda r: len(r.prompt) - r.held)
        for i, row in enumerate(need):
            count = min(len(row.prompt) - row.held, -(-left // (len(need) - i)))
            shares.append((row, count))
            left -= count
        return shares

    def _sample(self, rows: Sequence[Row], logits: Tensor) -> None:
        best = logits.argmax(-1).tolist() if rows else []  # (B,)
        for i, row in enumerate(rows):
            greedy = row.sampling.temperature == 0
            token = best[i] if greedy else sample(logits[i], row)
            if row.sampling.logprobs is not None:
                row.logprobs.append(alternatives(logits[i], token, row.sampling.logprobs))
            row.generated.append(token)


def sample(logits: Tensor, row: Row) -> int:
    """Temperature, then top-k, then top-p (nucleus), from the row's own generator. (V,) → id."""
    if row.generator is None:
        row.generator = torch.Generator()
        seed = row.sampling.seed
        row.generator.seed() if seed is None else row.generator.manual_seed(seed % 2**63)
    keep = row.sampling.top_k or len(logits)
    values, ids = logits.cpu().topk(min(keep, len(logits)))
    p = torch.softmax(values / row.sampling.temperature, -1)
    before = p.cumsum(-1) - p
    p = torch.where(before < row.sampling.top_p, p, 0.0)
    return int(ids[torch.multinomial(p, 1, generator=row.generator)])


def alternatives(logits: Tensor, token: int, count: int) -> tuple[float, list[tuple[int, float]]]:
    """Log-probability of `token` and the `count` likeliest tokens with theirs."""
    logp = logits.float().log_softmax(-1)
    values, ids = logp.topk(count) if count else (logp[:0], logp[:0].long())
    return float(logp[token]), list(zip(ids.tolist(), values.tolist(), strict=True))
