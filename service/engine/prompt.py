"""A prompt's keys and values, which many rows follow: each sees the prompt, none another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from service.model.decoder import Decoder


class Prompt(Cache):  # type: ignore[misc]
    """One pair of (1, H, L, D) tensors a layer; any causal LM of transformers."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._keep = True

    def copy(self) -> Prompt:
        """Another that begins with the same tensors; what follows is its own."""
        other = Prompt()
        other.keys, other.values = [*self.keys], [*self.values]
        return other

    @torch.inference_mode()
    def follow(
        self, decoder: Decoder, rows: Sequence[Sequence[int]], adapted: bool, *, keep: bool
    ) -> Tensor:
        """Last hidden states (B, T, d) of each row's next tokens, which end what is held if they
        are kept. Shorter rows are padded behind their end."""
        self._keep, start = keep, self.keys[0].shape[2] if self.keys else 0
        longest, device = max(map(len, rows)), decoder.device
        ids = torch.tensor([[*r, *[decoder.end] * (longest - len(r))] for r in rows], device=device)
        at = torch.arange(start, start + longest, device=device).expand(len(rows), -1)  # (B, T)
        mask = (torch.arange(start + longest, device=device) <= at[:, :, None])[:, None]
        with decoder.adapted([adapted] * len(rows)):
            return decoder.hidden(ids, attention_mask=mask, position_ids=at,
                                  past_key_values=self, use_cache=True)  # fmt: skip

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int,
               *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # fmt: skip
        """key_states, value_states (B, H, T, D) → everything the rows may attend to."""
        return (self._put(self.keys, layer_idx, key_states),
                self._put(self.values, layer_idx, value_states))  # fmt: skip

    def _put(self, held: list[Tensor], layer: int, states: Tensor) -> Tensor:
        if layer < len(held):
            states = torch.cat([held[layer].expand(len(states), -1, -1, -1), states], dim=2)
        if self._keep:
            held[layer:] = [states, *held[layer + 1 :]]
        return states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0
