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
from service.engine.memory_limits import exhausted, free
from service.engine.protocol import Sampling
from service.model.decoder import Decoder

FEW = 256  # tokens that hold most nuclei
COLDEST = 1e-5  # temperatures below are greedy: logits divided by less overflow float32


@dataclass(eq=False)
class Row:
    """One sequence being decoded."""

    prompt: list[int]
    adapted: bool
    sampling: Sampling
    limit: int  # tokens to generate at most
    opening: Sequence[int] = ()  # what is generated first, whatever the decoder would say
    generated: list[int] = field(default_factory=list)
    logprobs: list[tuple[float, list[tuple[int, float]]]] = field(default_factory=list)
    generator: torch.Generator | None = None
    slot: int = -1
    held: int = 0  # tokens whose keys and values are in the slot
    lost: bool = False  # the device had no memory for it, even alone

    @property
    def longest(self) -> int:
        """Tokens that the slot may come to hold."""
        return len(self.prompt) + self.limit


class DecodeBatch:
    """The running batch; every `step()` adds tokens."""

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

    def step(self) -> None:
        """One token for every row, but for those whose prompt is not in yet, or who are lost."""
        filling = {id(r): n for r, n in self._share([r for r in self.rows if not r.generated])}
        stepped: list[tuple[Row, Part]] = []
        for row in self.rows:
            if row.generated:
                stepped.append((row, Part(row.slot, row.held, row.generated[-1:], row.adapted)))
            elif count := filling[id(row)]:
                end = row.held + count
                ids, whole = row.prompt[row.held : end], end == len(row.prompt)
                stepped.append((row, Part(row.slot, row.held, ids, row.adapted, whole)))
        self._sample(*self._extend(stepped))

    def _extend(self, stepped: Sequence[tuple[Row, Part]]) -> tuple[list[Row], Tensor]:
        """The rows that get a token, and their logits. What memory does not hold at once is done
        in halves, which changes nothing: keys and values are written where they were."""
        try:
            logits = self.forward.extend([part for _, part in stepped])
        except Exception as error:
            if not exhausted(error):
                raise
        else:
            for row, part in stepped:
                row.held += len(part.ids)
            return [row for row, part in stepped if part.wanted], logits
        free()
        if len(stepped) == 1:
            stepped[0][0].lost = True
            return [], torch.zeros(0)
        half = len(stepped) // 2
        first, a = self._extend(stepped[:half])
        second, b = self._extend(stepped[half:])
        parts = [logits for logits in (a, b) if len(logits)]
        return first + second, torch.cat(parts) if parts else torch.zeros(0)

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
            if len(row.generated) < len(row.opening):
                token = row.opening[len(row.generated)]
            elif row.sampling.temperature < COLDEST:
                token = best[i]
            else:
                token = sample(logits[i], row)
            if row.sampling.logprobs is not None:
                row.logprobs.append(alternatives(logits[i], token, row.sampling.logprobs))
            row.generated.append(token)


def sample(logits: Tensor, row: Row) -> int:
    """Temperature, then top-k, then top-p (nucleus), from the row's own generator. (V,) → id."""
    if row.generator is None:
        row.generator = torch.Generator()
        seed = row.sampling.seed
        row.generator.seed() if seed is None else row.generator.manual_seed(seed % 2**63)
    scaled = logits.cpu().float() / row.sampling.temperature
    values, ids = nucleus(scaled, row.sampling.top_k, row.sampling.top_p)
    p = torch.softmax(values, -1)
    return int(ids[torch.multinomial(p, 1, generator=row.generator)])


def nucleus(scaled: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The logits and ids of the tokens that may be drawn, the likeliest first where it matters.

    The nucleus is the shortest beginning of the ranking that holds `top_p` of the mass; it is
    looked for among few before the whole vocabulary is sorted. scaled (V,).
    """
    if top_k:
        scaled, ids = scaled.topk(min(top_k, len(scaled)))
    else:
        ids = torch.arange(len(scaled))
    if top_p >= 1:
        return scaled, ids
    mass = torch.softmax(scaled, -1)
    for count in (FEW, len(mass)):
        best, order = mass.topk(min(count, len(mass)))
        before = best.cumsum(-1) - best
        if before[-1] >= top_p or count >= len(mass):
            break
    inside = before < top_p
    inside[0] = True  # float32 makes 0 of a tiny top_p
    kept = order[inside]
    return scaled[kept], ids[kept]


def alternatives(logits: Tensor, token: int, count: int) -> tuple[float, list[tuple[int, float]]]:
    """Log-probability of `token` and the `count` likeliest tokens with theirs."""
    logp = logits.float().log_softmax(-1)
    values, ids = logp.topk(count) if count else (logp[:0], logp[:0].long())
    return float(logp[token]), list(zip(ids.tolist(), values.tolist(), strict=True))
