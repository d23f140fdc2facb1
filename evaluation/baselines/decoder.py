"""The plain decoder, without adapter or service, for methods that change weights or prompts.

It is loaded from the same files as the service's, and prompts are tokenised as there, so
unedited answers are the service's base answers. Methods that change one block need only the
blocks from there on: `enter` and `leave` split a forward pass in two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from service.model.weights import decoder_path

BATCH = 20


class PlainDecoder:
    """A causal LM of Llama's layout and its tokenizer, in float32."""

    def __init__(self, path: str | None = None) -> None:
        path = path or decoder_path()
        self.model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self.model.requires_grad_(False)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)

    def encode(self, text: str) -> list[int]:
        return cast(list[int], self.tokenizer.encode(text, add_special_tokens=False))

    def down_projection(self, block: int) -> nn.Linear:
        """The second matrix of a block's MLP, where facts are looked up (Meng et al. 2022)."""
        return cast(nn.Linear, self.model.model.layers[block].mlp.down_proj)

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return generate(self.model, self.tokenizer, [self.encode(p) for p in prompts], tokens)

    @contextmanager
    def _blocks(self, part: slice) -> Iterator[Any]:
        body = self.model.model
        whole = body.layers
        body.layers = whole[part]
        try:
            yield body
        finally:
            body.layers = whole

    @torch.inference_mode()
    def enter(self, block: int, rows: Sequence[Sequence[int]]) -> Tensor:
        """Token rows → the hidden states that enter a block (B, T, d), padded on the right."""
        longest = max(map(len, rows))
        ids = torch.tensor([[*r, *[0] * (longest - len(r))] for r in rows])
        found: list[Tensor] = []
        target = self.model.model.layers[block]
        with self._blocks(slice(block + 1)) as body:
            handle = target.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
            body(ids, use_cache=False)
            handle.remove()
        return found[0]

    def leave(self, block: int, hidden: Tensor) -> Tensor:
        """What enters a block → last hidden states (B, T, d)."""
        with self._blocks(slice(block, None)) as body:
            return cast(Tensor, body(inputs_embeds=hidden, use_cache=False).last_hidden_state)

    def nll(self, hidden: Tensor, starts: Sequence[int], wanted: Sequence[int]) -> Tensor:
        """Mean cross-entropy of tokens `wanted` at `starts` of each row of last hidden states."""
        seen = [row[s - 1 : s - 1 + len(wanted)] for row, s in zip(hidden, starts, strict=True)]
        logits = self.model.lm_head(torch.cat(seen))
        return nn.functional.cross_entropy(logits, torch.tensor(list(wanted) * len(starts)))


@torch.inference_mode()
def generate(model: Any, tokenizer: Any, rows: Sequence[Sequence[int]], tokens: int) -> list[str]:
    """Greedy continuations of token rows, `tokens` at most."""
    end = tokenizer.eos_token_id
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    out = [""] * len(rows)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        ids, mask = padded([rows[i] for i in part], end)
        done = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False,
                              pad_token_id=end)  # fmt: skip
        texts = tokenizer.batch_decode(done[:, ids.shape[1] :], skip_special_tokens=True)
        for i, text in zip(part, texts, strict=True):
            out[i] = text
    return out


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token rows → ids and mask (B, T), padded on the left: the last column ends every prompt."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(r)) + list(r) for r in rows])
    mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows])
    return ids, mask
