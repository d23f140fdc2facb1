"""Readouts as a memory really makes them: what the codec's last steps are trained on.

An episode writes 16 to 64 facts under their addresses and asks for each in other words; the
least-squares weights of every readout say how the facts' latents mix.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from memory_store.store import Fact, MemorySpec
from memory_store.view import build_view
from service.model.address import AddressEncoder
from training import synthetic
from training.data import Relations, join

POOL = 1500  # facts whose addresses are computed once


class Readouts:
    """Batches of facts (token rows) and of readouts over them."""

    def __init__(
        self, relations: Relations, address: AddressEncoder, tokenizer: Tokenizer, limit: int,
        seed: int,
    ) -> None:  # fmt: skip
        self.rng, self.address, self.limit = random.Random(seed), address, limit
        self.relations, self.tokenizer = relations, tokenizer
        self.rows: list[list[int]] = []

    def _fill(self) -> None:
        r = self.rng
        asks = [synthetic.ask(r) if r.random() < 0.3 else self.relations.ask(r)
                for _ in range(POOL)]  # fmt: skip
        texts = [join(ask.prompt, ask.target) for ask in asks]
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        self.rows = [one.ids[: self.limit] for one in encoded]
        self.keys = self.address.encode([ask.prompt for ask in asks]).numpy()
        self.queries = self.address.encode([ask.query for ask in asks]).numpy()

    def batch(self, size: int) -> tuple[list[list[int]], Tensor, Tensor]:
        """`size` token rows, weights of the readouts over them (Q, size), the row that each of
        the Q should read. Queries whose nearest row is another fact are left out."""
        if not self.rows:
            self._fill()
        chosen = self.rng.sample(range(len(self.rows)), min(size, len(self.rows)))
        mixes: list[Tensor] = []
        wanted: list[int] = []
        start = 0
        while start < len(chosen):
            count = min(self.rng.randint(16, 64), len(chosen) - start)
            for fact, ids, weights in self._episode(chosen[start : start + count]):
                if int(ids[0]) == fact:
                    mix = torch.zeros(len(chosen))
                    mix[[start + int(i) for i in ids]] = torch.from_numpy(weights)
                    mixes.append(mix)
                    wanted.append(start + fact)
            start += count
        return [self.rows[i] for i in chosen], torch.stack(mixes), torch.tensor(wanted)

    def _episode(self, facts: list[int]) -> list[tuple[int, tuple[str, ...], np.ndarray]]:
        """(fact, ids of the rows read, their weights) of each query that reads something."""
        spec = MemorySpec(self.keys.shape[1], 2, "")
        rows = [Fact(f"cue {i}", self.keys[fact], np.ones(2, np.float32), id=str(i))
                for i, fact in enumerate(facts)]  # fmt: skip
        readout = build_view(rows, spec).read(self.queries[facts])
        return [(i, ids, weights) for i, (ids, weights)
                in enumerate(zip(readout.ids, readout.weights, strict=True)) if ids]  # fmt: skip
