"""What a suite finds: named shares with intervals, plain figures, and the cases behind misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.api import Answer
from evaluation.metrics import Share, clean, match, share

MISSES = 60  # kept of each kind


@dataclass
class Result:
    """`facts`: how many were together in one tenant."""

    suite: str
    facts: int
    shares: dict[str, Share] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)  # not shares: perplexity, seconds
    misses: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, hits: Sequence[bool]) -> None:
        """Nothing is added where there is nothing to count."""
        if hits:
            self.shares[name] = share(hits)

    def keep(self, misses: Sequence[dict[str, Any]]) -> None:
        """The first of them, for whoever asks why."""
        self.misses += misses[:MISSES]

    def matches(
        self, name: str, prompts: Sequence[str], answers: Sequence[Answer], targets: Sequence[str]
    ) -> None:
        """Adds the shares of *match* and *clean*, and that of prompts found in scope."""
        rows = list(zip(prompts, answers, targets, strict=True))
        self.add(name, [match(a.text, t) for _, a, t in rows])
        self.add(f"{name}, clean", [clean(a.text, t) for _, a, t in rows])
        self.add(f"{name}, in scope", [a.in_scope for a in answers])
        self.keep([{name: p, "target": t, "text": a.text, "confidence": a.confidence}
                    for p, a, t in rows if not match(a.text, t)])  # fmt: skip

    def equal(
        self, name: str, prompts: Sequence[str], answers: Sequence[Answer], base: Sequence[str]
    ) -> None:
        """Adds the share of generations that are the base model's, letter by letter."""
        rows = list(zip(prompts, answers, base, strict=True))
        self.add(name, [a.text == b for _, a, b in rows])
        self.keep([{name: p, "base": b, "text": a.text, "confidence": a.confidence}
                    for p, a, b in rows if a.text != b])  # fmt: skip
