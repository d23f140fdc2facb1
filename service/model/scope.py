"""Scope gate: does this prompt ask for a stored fact? Decided on the prompt alone.

A prompt is looked at in three units: its last sentence, its last two, and the whole; each holds
what the completion must continue (in chat, the last user message takes the prompt's place). A
unit is read from memory; the fact read back *from the latent* and the unit go through a
cross-encoder, whose pooled state, the match itself (cosine, lead over the second row, posterior
variance, weight) and the overlap of words and numbers give a calibrated probability. A unit whose
address is the row's own is the cue itself, and needs no opinion. The best unit decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from memory_store.store import Readout
from service.model.address import Sketch, words
from service.model.encoder import SentenceEncoder

FEATURES = 9
WEIGHED = 4  # numbers that calibration makes a probability of
LEAD = 0.2  # calibration sees no more of a lead: it says which row, not that the row is asked for
CUE = 0.995  # cosine from which a unit is the stored cue; other numbers in one template reach .78
STRANGER = 0.5  # the second row's cosine in a memory of hundreds; a small one has no such row
BREAK = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\s*\n\s*")


def units(prompt: str) -> tuple[str, ...]:
    """Last sentence, last two, whole; without repetitions."""
    text = prompt.strip()
    starts = [0] + [m.end() for m in BREAK.finditer(text)]
    tails = (text[start:] for start in (starts[-1], starts[-2:][0], 0))
    return tuple(dict.fromkeys(tails))


def features(readout: Readout, query: int, unit: str, fact: str, sketch: Sketch) -> list[float]:
    """The match of one query of a readout, its words' overlap with the fact read back, and
    whether it names a number that the fact does not."""
    cosines = [float(c) for c in readout.cosines[query]]  # by weight, the best first
    ranked = sorted(cosines, reverse=True)
    lead = ranked[0] - max([STRANGER, *ranked[1:2]])
    match = [cosines[0], lead, float(readout.variance[query]), float(readout.weights[query][0])]
    stray = float(bool(numbers(unit) - numbers(fact)))
    return [*match, *sketch.coverage(unit, fact), *sketch.coverage(fact, unit), stray]


def numbers(text: str) -> set[str]:
    """The words with a digit in them."""
    return {word for word in words(text) if any(map(str.isdigit, word))}


def weighed(logits: Tensor, match: Tensor) -> Tensor:
    """Logits (B,) and match (B, FEATURES) → (B, WEIGHED): logit, cosine, lead, 1."""
    cosine, lead = match[:, 0], match[:, 1].clamp(max=LEAD)
    return torch.stack([logits, cosine, lead, torch.ones_like(logits)], dim=-1)


class ScopeGate(nn.Module):
    """Units, the facts read back for them, and the matches → probabilities."""

    def __init__(self, encoder: SentenceEncoder, hidden: int = 64) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Linear(encoder.width + FEATURES, hidden), nn.GELU(), nn.Linear(hidden, 1)
        )
        # fitted after training: p = sigmoid(calibration · weighed)
        self.calibration = nn.Parameter(torch.eye(1, WEIGHED)[0], requires_grad=False)

    def logits(self, units: Sequence[str], facts: Sequence[str], match: Tensor) -> Tensor:
        """match (B, FEATURES) → (B,)."""
        pooled = self.encoder.mean_state(units, facts)  # (B, w)
        logits: Tensor = self.head(torch.cat([pooled, match.to(pooled)], dim=-1)).squeeze(-1)
        return logits

    def calibrated(self, logits: Tensor, match: Tensor) -> Tensor:
        """Logits (B,) and match (B, FEATURES) → probabilities (B,)."""
        return torch.sigmoid(weighed(logits, match.to(logits)) @ self.calibration)

    @torch.inference_mode()
    def probability(
        self, units: Sequence[str], facts: Sequence[str], match: Tensor, batch: int = 32
    ) -> list[float]:
        out: list[float] = []
        for s in range(0, len(units), batch):
            part = slice(s, s + batch)
            logits = self.logits(units[part], facts[part], match[part])
            out += self.calibrated(logits, match[part]).tolist()
        return out
