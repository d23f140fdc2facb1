"""What counts as right, and how sure we are of a share.

*match*: the greedy generation starts with the target, and the target ends at a word boundary.
*clean*: the text up to the first stop or newline is the target and nothing else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass


def match(text: str, target: str) -> bool:
    said = text.lstrip()
    return said.startswith(target) and not said[len(target) : len(target) + 1].isalnum()


def clean(text: str, target: str) -> bool:
    return re.split(r"\.(?:\s|$)|\n", text.strip(), maxsplit=1)[0].strip() == target


@dataclass(frozen=True, slots=True)
class Share:
    """A share of N with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], N = {self.n}"


def share(hits: Sequence[bool], resamples: int = 2000, seed: int = 0) -> Share:
    n, rng = len(hits), random.Random(seed)
    means = sorted(sum(rng.choices(hits, k=n)) / n for _ in range(resamples))
    return Share(sum(hits) / n, means[resamples // 40], means[-resamples // 40], n)
