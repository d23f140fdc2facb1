"""A frozen sentence-encoder body (BERT-like) with a low-rank delta merged into its weights.

Address encoder and scope gate share the base weights from the registry; what training adds to
each is a delta of a few megabytes, in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from service.model.lora import AdapterConfig, Gate, GatedLoRA, wrap

DELTA = AdapterConfig(rank=16, alpha=32.0, first_block=0)
MAX_TOKENS = 128


class SentenceEncoder:
    """Token states of texts or text pairs, under a trainable or merged low-rank delta."""

    def __init__(self, path: str) -> None:
        self.model: Any = AutoModel.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.model.requires_grad_(False)
        self.gate = Gate()
        self.adapters: dict[str, GatedLoRA] = dict(wrap(self.model, DELTA, self.gate))

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        parameter: nn.Parameter = next(self.model.parameters())
        return parameter.device

    def mean_state(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Tensor:
        """Mean of the token states of each text (or pair), (B, w)."""
        batch = self.tokenizer(
            list(texts), list(pairs) if pairs is not None else None,
            padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt",
        ).to(self.device)  # fmt: skip
        self.gate.rows = torch.ones(len(texts), 1, 1, device=self.device)
        try:
            states: Tensor = self.model(**batch).last_hidden_state  # (B, L, w)
        finally:
            self.gate.rows = None
        mask = batch["attention_mask"][:, :, None].to(states.dtype)
        mean: Tensor = (states * mask).sum(1) / mask.sum(1)
        return mean
