"""Any causal LM of transformers, on CPU or CUDA: one padded forward pass over a shared cache.

Each row owns a line of one key/value cache and starts at position 0 of it. Live rows are kept in
lines 0..n-1, so that a decode step reads a view of the cache, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from service.engine.forward import Part
from service.model.decoder import Decoder

STEP = 64  # positions that the cache begins with
Lines = slice | Tensor


def bucket(n: int) -> int:
    """The power of two that holds n: few sizes, so that what depends on them is made rarely."""
    return int(1 << (n - 1).bit_length())


class RowCache(Cache):  # type: ignore[misc]
    """Keys and values of all lines, one pair of (S, H, L, D) tensors a layer."""

    def __init__(self, slots: int) -> None:
        super().__init__(layers=[])
        self.slots, self.length = slots, STEP
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.lines: Lines = slice(0, 0)
        self.at = torch.zeros(0, 0, dtype=torch.long)  # (B, T) where this call's tokens go
        self.span = 0
        self.moves = 0  # times that the tensors moved: whoever knew where they lay does no longer

    def aim(self, lines: Lines, at: Tensor, span: int) -> None:
        """The next forward pass writes `lines` at positions `at` and sees `span` positions."""
        self.lines, self.at, self.span = lines, at, span
        self.reserve(span)

    def reserve(self, span: int) -> None:
        """Room for `span` positions a line."""
        if span <= self.length:
            return
        self.moves += 1
        length = bucket(span)
        for tensors in (self.keys, self.values):
            for i, old in enumerate(tensors):
                if old.shape[2] < length:
                    grown = old.new_zeros(*old.shape[:2], length, old.shape[3])
                    grown[:, :, : old.shape[2]] = old
                    tensors[i] = grown
        self.length = length  # last: out of memory on the way, the next attempt goes on from here

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int,
               *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # fmt: skip
        """key_states, value_states (B, H, T, D) → everything the rows may attend to."""
        if layer_idx == len(self.keys):
            _, heads, _, width = key_states.shape
            shape = (self.slots, heads, self.length, width)
            self.keys.append(key_states.new_zeros(shape))
            self.values.append(value_states.new_zeros(shape))
        return (self._put(self.keys[layer_idx], key_states),
                self._put(self.values[layer_idx], value_states))  # fmt: skip

    def _put(self, cache: Tensor, states: Tensor) -> Tensor:
        lines = cache[self.lines]  # a view of a slice, a copy of scattered lines
        lines.scatter_(2, self.at[:, None, :, None].expand_as(states), states)
        if not isinstance(self.lines, slice):
            cache[self.lines] = lines
        return lines[:, :, : self.span]

    def move(self, source: int, target: int) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[target] = tensor[source]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0


class TransformerForward:
    """`Forward` (forward.py) by transformers."""

    def __init__(self, decoder: Decoder, slots: int, budget: int) -> None:
        self.decoder, self.slots, self.budget = decoder, slots, budget
        self.chunk = 128 if decoder.device.type == "cpu" else 512
        self.cache = RowCache(slots)
        self._lines: list[int] = []  # the slot in each line
        self._lengths: dict[int, int] = {}  # slot → tokens it may come to hold

    def warm(self) -> None:
        """Nothing depends on a step's shape."""

    def room(self, length: int) -> bool:
        count = len(self._lines) + 1
        longest = max([*self._lengths.values(), length])
        return count <= self.slots and (count == 1 or count * longest <= self.budget)

    def open(self, length: int) -> int:
        slot = next(i for i in range(self.slots) if i not in self._lengths)
        self._lines.append(slot)
        self._lengths[slot] = length
        return slot

    @torch.inference_mode()
    def close(self, slot: int) -> None:
        line, last = self._lines.index(slot), len(self._lines) - 1
        if line != last:
            self.cache.move(last, line)
            self._lines[line] = self._lines[last]
        self._lines.pop()
        del self._lengths[slot]

    @torch.inference_mode()
    def extend(self, parts: Sequence[Part]) -> Tensor:
        """Newest tokens are one pass, chunks of prompts another."""
        logits: dict[int, Tensor] = {}
        for chunks in (False, True):
            mine = [p for p in parts if (len(p.ids) > 1) is chunks]
            mine.sort(key=lambda p: self._lines.index(p.slot))
            if mine:
                last = self._pass(mine)
                wanted = [i for i, p in enumerate(mine) if p.wanted]
                values = self.decoder.logits(last[wanted]).float()
                logits |= {mine[i].slot: row for i, row in zip(wanted, values, strict=True)}
        rows = [logits[p.slot] for p in parts if p.wanted]
        return torch.stack(rows) if rows else torch.zeros(0, 0)

    def _pass(self, parts: Sequence[Part]) -> Tensor:
        """The last hidden state of each part, (B, d)."""
        device = self.decoder.device
        longest = max(len(p.ids) for p in parts)
        span = max(p.start for p in parts) + longest
        pad = self.decoder.end
        ids = torch.tensor([[*p.ids, *[pad] * (longest - len(p.ids))] for p in parts],
                           device=device)  # fmt: skip
        start = torch.tensor([[p.start] for p in parts], device=device)
        at = start + torch.arange(longest, device=device)  # (B, T)
        self.cache.aim(self._where(parts), at, span)
        mask = (torch.arange(span, device=device) <= at[:, :, None])[:, None]  # (B, 1, T, L)
        with self.decoder.adapted([p.adapted for p in parts]):
            hidden = self.decoder.hidden(ids, attention_mask=mask, position_ids=at,
                                         past_key_values=self.cache, use_cache=True)  # fmt: skip
        ends = torch.tensor([len(p.ids) - 1 for p in parts], device=device)
        return hidden[torch.arange(len(parts), device=device), ends]

    def _where(self, parts: Sequence[Part]) -> Lines:
        lines = [self._lines.index(p.slot) for p in parts]
        if lines == list(range(lines[0], lines[0] + len(lines))):
            return slice(lines[0], lines[0] + len(lines))
        return torch.tensor(lines, device=self.decoder.device)
