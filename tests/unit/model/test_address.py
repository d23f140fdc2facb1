from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from memory_store.rows import check
from memory_store.store import Fact, MemorySpec
from service.model.address import BUCKETS, AddressEncoder, Sketch, idf_table, words
from service.model.encoder import SentenceEncoder


def test_numbers_dates_and_versions_stay_whole() -> None:
    assert words("Agent 0042 pays 1,299.50 on 2031-04-05 for v2.3.1!") == [
        "agent", "0042", "pays", "1,299.50", "on", "2031-04-05", "for", "v2.3.1",
    ]  # fmt: skip


def test_cues_that_differ_in_one_number_part() -> None:
    cues = [f"The badge number of agent {i:04d} is" for i in range(300)]
    sketch = Sketch(idf_table(cues))
    table = sketch(cues) @ sketch(cues).T
    assert torch.allclose(table.diagonal(), torch.ones(300), atol=1e-5)
    assert table.fill_diagonal_(0).max() < 0.9


class Meaning:
    """A sentence encoder that knows no character of them, so that it takes one for the other."""

    width = 4

    def mean_state(self, texts: Sequence[str]) -> Tensor:
        return torch.ones(len(texts), self.width)


def test_texts_without_a_word_have_addresses_of_their_own() -> None:
    texts = ["***", "...", "?!", "\N{PARTY POPPER}", "\N{GRINNING FACE}", "\N{EM DASH}"]
    encoder = AddressEncoder(cast(SentenceEncoder, Meaning()), Sketch(torch.ones(BUCKETS)))
    addresses = encoder.encode(texts).numpy()
    spec = MemorySpec(encoder.dim, 1, "")
    for i, (text, address) in enumerate(zip(texts, addresses, strict=True)):
        check(Fact(text, address, np.zeros(1, np.float32)), i, spec)
    assert (addresses @ addresses.T - np.eye(len(texts))).max() < 0.9
    assert (encoder.encode([f" {text}\n" for text in texts]).numpy() == addresses).all()
