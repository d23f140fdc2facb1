"""Continuous batching: rows join and leave a running decode batch at token boundaries.

Each row owns a slot of one key/value cache and starts at position 0 of it, so a row's tokens do
not depend on who else is in the batch. Live rows are kept in slots 0..n-1: a step is one forward
pass over a view of the cache, without a copy. Knows token ids only; text.py makes text of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from service.engine.protocol import Sampling
from service.model.decoder import Decoder

STEP = 64  # the cache grows in multiples of this


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

    @property
    def length(self) -> int:
        """Tokens whose keys and values are in the cache once the row has been stepped."""
        return len(self.prompt) + len(self.generated)


class RowCache(Cache):  # type: ignore[misc]
    """Keys and values of all slots, one pair of (S, H, L, D) tensors a layer."""

    def __init__(self, slots: int) -> None:
        super().__init__(layers=[])
        self.slots, self.length = slots, STEP
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.rows = slice(0, 0)
        self.at = torch.zeros(0, 0, dtype=torch.long)  # (B, T) where this call's tokens go
        self.span = 0

    def aim(self, rows: slice, at: Tensor, span: int) -> None:
        """The next forward pass writes rows `rows` at positions `at` and sees `span` positions."""
        self.rows, self.at, self.span = rows, at, span
        while self.length < span:
            self.length *= 2
        for tensors in (self.keys, self.values):
            for i, old in enumerate(tensors):
                if old.shape[2] < self.length:
                    tensors[i] = old.new_zeros(*old.shape[:2], self.length, old.shape[3])
                    tensors[i][:, :, : old.shape[2]] = old

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int,
               *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # fmt: skip
        """key_states, value_states (B, H, T, D) → everything the rows may attend to."""
        if layer_idx == len(self.keys):
            _, heads, _, width = key_states.shape
            shape = (self.slots, heads, self.length, width)
            self.keys.append(key_states.new_zeros(shape))
            self.values.append(value_states.new_zeros(shape))
        keys, values = self.keys[layer_idx][self.rows], self.values[layer_idx][self.rows]
        index = self.at[:, None, :, None].expand_as(key_states)
        keys.scatter_(2, index, key_states)
        values.scatter_(2, index, value_states)
        return keys[:, :, : self.span], values[:, :, : self.span]

    def move(self, source: int, target: int) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[target] = tensor[source]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0


class DecodeBatch:
    """The running batch. `step()` adds a token to every row and returns the rows it stepped."""

    def __init__(self, decoder: Decoder, slots: int = 32, budget: int = 32_768) -> None:
        self.decoder, self.budget = decoder, budget
        self.cache = RowCache(slots)
        self.rows: list[Row] = []

    def room(self, row: Row, joining: Sequence[Row] = ()) -> bool:
        """Can the row join now? Slots, and slots x longest row, are bounded."""
        others = [*self.rows, *joining]
        count = len(others) + 1
        longest = max(len(r.prompt) + r.limit for r in [*others, row])
        return count <= self.cache.slots and (count == 1 or count * longest <= self.budget)

    @torch.inference_mode()
    def join(self, rows: Sequence[Row]) -> None:
        """Prefills rows together; each gets its first token."""
        device = self.decoder.device
        lengths = torch.tensor([len(r.prompt) for r in rows], device=device)
        longest = int(lengths.max())
        pad = self.decoder.end
        ids = torch.tensor([r.prompt + [pad] * (longest - len(r.prompt)) for r in rows])
        at = torch.arange(longest, device=device).expand(len(rows), -1)
        start = len(self.rows)
        self.rows += rows
        self.cache.aim(slice(start, start + len(rows)), at, longest)
        mask = (at[0][None, :] <= at[0][:, None])[None, None].expand(len(rows), 1, -1, -1)
        hidden = self._forward(ids.to(device), at, mask, rows)
        last = hidden[torch.arange(len(rows), device=device), lengths - 1]
        self._sample(rows, self.decoder.logits(last))

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """One token for every row."""
        rows, device = list(self.rows), self.decoder.device
        ids = torch.tensor([[r.generated[-1]] for r in rows], device=device)
        at = torch.tensor([[r.length - 1] for r in rows], device=device)
        span = int(max(r.length for r in rows))
        self.cache.aim(slice(0, len(rows)), at, span)
        mask = (torch.arange(span, device=device) <= at)[:, None, None, :]
        hidden = self._forward(ids, at, mask, rows)
        self._sample(rows, self.decoder.logits(hidden[:, -1]))
        return rows

    @torch.inference_mode()
    def leave(self, row: Row) -> None:
        """Frees the row's slot; the last row moves into it."""
        i, last = self.rows.index(row), len(self.rows) - 1
        if i != last:
            self.cache.move(last, i)
            self.rows[i] = self.rows[last]
        self.rows.pop()

    def _forward(self, ids: Tensor, at: Tensor, mask: Tensor, rows: Sequence[Row]) -> Tensor:
        with self.decoder.adapted([r.adapted for r in rows]):
            return self.decoder.hidden(
                ids,
                attention_mask=mask,
                position_ids=at,
                past_key_values=self.cache,
                use_cache=True,
            )

    def _sample(self, rows: Sequence[Row], logits: Tensor) -> None:
        best = logits.argmax(-1).tolist()  # (B,)
        for i, row in enumerate(rows):
            greedy = row.sampling.temperature == 0
            token = best[i] if greedy else sample(logits[i].float(), row)
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
