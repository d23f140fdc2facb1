"""Address encoder: a text → a unit vector, half meaning and half words.

Dense half: a sentence encoder, mean pooled. Sentence encoders blur numbers and names, so the
other half is a hashed, idf-weighted sketch of the words themselves: "agent 0001" and "agent 0002"
have cosine .98 in the first half and part in the second. Each half is a unit vector scaled by
√.5, so the sum's cosine is the mean of both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from service.model.encoder import SentenceEncoder

SKETCH = 384  # dimensions of the lexical half
BUCKETS = 1 << 15  # of the idf table
SPREAD = 8  # dimensions that one word touches
WORD = re.compile(r"\w+(?:[.,:/-]\w+)*")


def words(text: str) -> list[str]:
    """Folded words; numbers, dates and versions stay whole."""
    return WORD.findall(text.casefold())


@lru_cache(maxsize=1 << 16)
def _hashed(word: str) -> tuple[int, bytes]:
    """(idf bucket, 16 bytes: the dimensions and signs that this word touches)."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=20).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS, digest[4:]


class Sketch:
    """Hashed bag of words, (B, SKETCH), unit length; idf from the training texts.

    A text without a word, such as an emoji, is one word as a whole: it is told from others like it,
    of which the sentence encoder may know no character.
    """

    def __init__(self, idf: Tensor) -> None:
        self.idf = idf.numpy().astype(np.float32)  # (BUCKETS,)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        out = np.zeros((len(texts), SKETCH), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in words(text) or [text.strip()]:
                bucket, spread = _hashed(word)
                values = np.frombuffer(spread, dtype=">u2")  # (SPREAD,)
                signs = np.where(values & 1, 1.0, -1.0)
                np.add.at(row, (values >> 1) % SKETCH, signs * self.idf[bucket])
        return F.normalize(torch.from_numpy(out), dim=-1)

    def coverage(self, text: str, other: str) -> tuple[float, float]:
        """Share of `text`'s words, and of its three rarest, that `other` has; idf-weighted."""
        has = set(words(other))
        weighed = sorted(
            ((float(self.idf[_hashed(w)[0]]), w) for w in set(words(text))), reverse=True
        )
        return _share(weighed, has), _share(weighed[:3], has)


def _share(weighed: Sequence[tuple[float, str]], has: set[str]) -> float:
    total = sum(weight for weight, _ in weighed)
    return sum(weight for weight, word in weighed if word in has) / total if total else 0.0


def idf_table(texts: Sequence[str]) -> Tensor:
    """Inverse document frequency by hash bucket; a word never seen weighs the most."""
    counts = np.zeros(BUCKETS)
    for text in texts:
        counts[[_hashed(word)[0] for word in set(words(text))]] += 1
    idf = np.log((len(texts) + 1) / (counts + 1)) / np.log(len(texts) + 1)
    return torch.from_numpy(np.maximum(idf, 0.02).astype(np.float32))


class AddressEncoder:
    """Texts → addresses (B, d), d = encoder width + SKETCH."""

    def __init__(self, encoder: SentenceEncoder, sketch: Sketch) -> None:
        self.encoder, self.sketch = encoder, sketch

    @property
    def dim(self) -> int:
        return self.encoder.width + SKETCH

    def dense(self, texts: Sequence[str]) -> Tensor:
        """The half that training moves, (B, w), unit length."""
        return F.normalize(self.encoder.mean_state(texts), dim=-1)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], batch: int = 32) -> Tensor:
        """(B, d), unit length; batches of similar length."""
        if not texts:
            return torch.zeros(0, self.dim)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows = [self.dense([texts[i] for i in order[s : s + batch]]).cpu()
                for s in range(0, len(order), batch)]  # fmt: skip
        dense = torch.empty(len(texts), self.encoder.width)
        dense[order] = torch.cat(rows)
        both: Tensor = torch.cat([dense, self.sketch(texts)], dim=-1) * 0.5**0.5
        return both
