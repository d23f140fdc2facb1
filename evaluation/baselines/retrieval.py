"""Retrieval with everything of ours but the latent: is the latent worth it?

Facts are addressed, read and gated as the service does it, and the decoder has the same adapter;
but the memory tokens are those of the stored sentence itself, looked up, not decoded from a
vector. `by_subject`: the gate is a string match, some stored subject stands in the prompt.
`latent`: the memory tokens are decoded, as the service does it; what everything is compared with.
`Ceiling` retrieves nothing: it is told which fact is right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from evaluation.baselines.decoder import padded
from evaluation.cases import Case
from memory_store.kernel import TenantView
from memory_store.store import Fact
from memory_store.view import build_view
from service.model.larimar import LarimarModel, Reading, fact_text

BATCH = 20


class Retrieval:
    """Facts add up in a memory and beside it as text."""

    def __init__(
        self, model: LarimarModel, *, by_subject: bool = False, latent: bool = False
    ) -> None:
        self.model, self.by_subject, self.latent = model, by_subject, latent
        self.reset()

    def reset(self) -> None:
        self.facts: list[Fact] = []
        self.texts: dict[str, str] = {}
        self.subjects: dict[str, str] = {}  # subject → id of its latest fact
        self._memory: TenantView | None = None

    def edit(self, case: Case) -> None:
        text = fact_text(case.prompt, case.target, None)
        self.texts[case.id], self.subjects[case.subject] = text, case.id
        if not self.by_subject:
            address = self.model.address.encode([case.prompt]).numpy()[0]
            latent = self.model.latents([text]).numpy()[0]
            fact = Fact(case.prompt, address, latent.astype(np.float32), id=case.id)
            self.facts.append(fact)
            self._memory = None

    def _prefixes(self, prompts: Sequence[str]) -> list[str | None]:
        """The sentence before each prompt, where its gate opens."""
        if self.by_subject:
            inside = [[s for s in self.subjects if s in p] for p in prompts]
            return [self.texts[self.subjects[max(s, key=len)]] if s else None for s in inside]
        if self._memory is None:
            self._memory = build_view(self.facts, self.model.spec)
        views, always = [self._memory] * len(prompts), [False] * len(prompts)
        readings: list[Reading] = self.model.read(prompts, views, always)
        return [(r.text if self.latent else self.texts[r.ids[0]]) if r.in_scope else None
                for r in readings]  # fmt: skip

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        out: list[str] = []
        for i in range(0, len(prompts), BATCH):
            out += self._generate(prompts[i : i + BATCH], tokens)
        return out

    def _generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        decoder = self.model.decoder
        prefixes = self._prefixes(prompts)
        rows = [decoder.encode(p) for p in prompts]
        rows = [decoder.conditioned(decoder.encode(prefix), row) if prefix else row
                for prefix, row in zip(prefixes, rows, strict=True)]  # fmt: skip
        ids, mask = padded(rows, decoder.end)
        with decoder.adapted([prefix is not None for prefix in prefixes]):
            done = decoder.model.generate(
                ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False,
                pad_token_id=decoder.end)  # fmt: skip
        new = done[:, ids.shape[1] :]
        found: list[str] = decoder.tokenizer.batch_decode(new, skip_special_tokens=True)
        return found


class Ceiling(Retrieval):
    """What the decoder can do at most: the text of the right fact, for every prompt of its case.

    There is no gate, so neighbours get the fact too.
    """

    def reset(self) -> None:
        self.right: dict[str, str] = {}

    def edit(self, case: Case) -> None:
        text = fact_text(case.prompt, case.target, None)
        self.right = (
            dict.fromkeys(case.neighbours, text)
            | self.right
            | dict.fromkeys((case.prompt, *case.paraphrases), text)
        )

    def _prefixes(self, prompts: Sequence[str]) -> list[str | None]:
        return [self.right[prompt] for prompt in prompts]
