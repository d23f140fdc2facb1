"""The frozen decoder and the adapter that teaches it to use memory tokens.

The decoder is any Hugging Face causal LM. A LoRA adapter (r = 16, later blocks) is switched per
row of a batch: a row whose gate is 0 gets `W x + 0`, which is the base model to the bit. An
in-scope row reads `[first special token] memory tokens [end token] prompt`; an out-of-scope row
reads its prompt alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from service.model.lora import AdapterConfig, Gate, GatedLoRA, wrap


class Decoder:
    """A causal LM with its tokenizer and the gated adapter."""

    def __init__(self, path: str, config: AdapterConfig | None = None) -> None:
        self.config = config or AdapterConfig()
        self.model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.model.requires_grad_(False)
        self.gate = Gate()
        self.adapters: dict[str, GatedLoRA] = dict(wrap(self.model, self.config, self.gate))
        self.context: int = self.model.config.max_position_embeddings
        special = self.tokenizer.all_special_ids
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        self.begin: int = bos if bos is not None else special[0]
        self.end: int = eos if eos is not None else special[0]

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    @property
    def embedding(self) -> Tensor:
        """The table on which memory tokens lie, (V, d)."""
        return cast(Tensor, self.model.get_input_embeddings().weight)

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a generation."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset({self.end, *(i for i in ids if i is not None)})

    def encode(self, text: str, *, template: bool = False) -> list[int]:
        """Token ids. Control tokens are plain text, unless `text` is a rendered chat template."""
        options = {"add_special_tokens": False, "split_special_tokens": not template}
        return cast(list[int], self.tokenizer.encode(text, **options))

    def chat(self, messages: Sequence[dict[str, str]]) -> str:
        """The default chat template, the same with and without memory."""
        return cast(str, self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True))  # fmt: skip

    def decode(self, ids: Sequence[int]) -> str:
        return cast(str, self.tokenizer.decode(ids, skip_special_tokens=True))

    def conditioned(self, memory: Sequence[int], prompt: Sequence[int]) -> list[int]:
        """Token ids of an in-scope row: memory tokens are rows of the decoder's own table."""
        return [self.begin, *memory, self.end, *prompt]

    @contextmanager
    def adapted(self, rows: Sequence[bool]) -> Iterator[None]:
        """Runs the model with the adapter on for these rows of the batch."""
        mask = torch.tensor(rows, device=self.device, dtype=self.embedding.dtype)
        self.gate.rows = mask[:, None, None] if any(rows) else None
        try:
            yield
        finally:
            self.gate.rows = None

    def hidden(self, ids: Tensor, **kwargs: Any) -> Tensor:
        """Last hidden states (B, T, d) of token ids (B, T)."""
        return cast(Tensor, self.model.base_model(input_ids=ids, **kwargs).last_hidden_state)

    def logits(self, hidden: Tensor) -> Tensor:
        return cast(Tensor, self.model.get_output_embeddings()(hidden))
