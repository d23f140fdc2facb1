"""The `Forward` of a Llama-shaped decoder on a CPU: one call of step.c a step.

Keys and values lie in pages of 64 positions that rows take when they join, so a row costs what it
may need and nothing is copied when another leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from service.engine.forward import Part
from service.engine.native.library import library
from service.engine.native.packing import GROUP
from service.engine.native.weights import Tokens, weights_of
from service.model.decoder import Decoder

PAGE = 64  # positions


def runs(decoder: Decoder) -> bool:
    """Is the decoder on a CPU, of the shape that step.c computes, and is the library here?"""
    c = decoder.model.config
    shape = (
        c.model_type == "llama"
        and c.hidden_act == "silu"
        and not (c.attention_bias or c.mlp_bias)
        and c.rope_parameters["rope_type"] in ("default", "linear", "llama3")
    )
    table = decoder.embedding
    if not shape or table.device.type != "cpu" or table.dtype != torch.float32:
        return False
    whole = (c.hidden_size, c.intermediate_size, c.num_attention_heads * c.head_dim)
    fits = not any(n % GROUP for n in whole) and c.head_dim % 16 == 0
    return fits and library() is not None


class NativeForward:
    """`Forward` (engine/forward.py) by one call of step.c."""

    chunk = 128

    def __init__(self, decoder: Decoder, slots: int, budget: int) -> None:
        self._decoder, self._weights = decoder, weights_of(decoder)
        config = decoder.model.config
        longest = -(-decoder.context // PAGE)
        self._table = torch.zeros(slots, longest, dtype=torch.int32)
        self._slots = list(range(slots))
        self._held: dict[int, list[int]] = {}
        self._pages = list(range(max(budget // PAGE, longest)))
        wide = config.num_key_value_heads * config.head_dim
        # a page takes memory when it is first used
        self._cache = torch.empty(config.num_hidden_layers, 2, len(self._pages), PAGE, wide)

    def warm(self) -> None:
        """Starts the threads, and touches every weight."""
        slot = self.open(PAGE)
        self.extend([Part(slot, 0, [self._decoder.end] * 2, True)])
        self.close(slot)

    # --- slots ------------------------------------------------------------------------------

    def room(self, length: int) -> bool:
        return bool(self._slots) and len(self._pages) * PAGE >= length

    def open(self, length: int) -> int:
        slot = self._slots.pop()
        pages = self._held[slot] = [self._pages.pop() for _ in range(-(-length // PAGE))]
        self._table[slot, : len(pages)] = torch.tensor(pages, dtype=torch.int32)
        return slot

    def close(self, slot: int) -> None:
        self._pages += self._held.pop(slot)
        self._slots.append(slot)

    # --- the step ---------------------------------------------------------------------------

    @torch.inference_mode()
    def extend(self, parts: Sequence[Part]) -> Tensor:
        ids = torch.tensor([i for part in parts for i in part.ids])  # (n,)
        rows = torch.tensor([p.slot for p in parts for _ in p.ids], dtype=torch.int32)
        at = torch.tensor([p.start + j for p in parts for j in range(len(p.ids))],
                          dtype=torch.int32)  # fmt: skip
        gate = torch.tensor([self._weights.scale * p.adapted for p in parts for _ in p.ids])
        x = self._decoder.embedding[ids].contiguous()  # (n, d)
        tokens = Tokens(*(t.data_ptr() for t in (rows, at, self._table)),
                        gate.data_ptr() if any(p.adapted for p in parts) else None,
                        self._cache.data_ptr(), *self._cache.shape[2:3],
                        self._table.shape[1])  # fmt: skip
        self._weights.forward(tokens, x)
        ends = torch.tensor([len(p.ids) for p in parts]).cumsum(0) - 1
        return self._weights.logits(x[ends[[p.wanted for p in parts]]])
