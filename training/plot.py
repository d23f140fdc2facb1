"""Draws the logs of a training run: loss by step, and what each stage reports on held-out cases.

python -m training.plot RUNS IMAGE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from training.stages import STAGES

AXES = {"step", "seconds", "loss", "n"}


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def plot(runs: Path, image: Path) -> None:
    """One column a stage, loss above and reports below. Raises FileNotFoundError without a log."""
    figure, axes = plt.subplots(2, len(STAGES), figsize=(4 * len(STAGES), 6), layout="constrained")
    for (above, below), stage in zip(axes.T, STAGES, strict=True):
        rows = rows_of(runs / stage / "log.jsonl")
        losses = [row for row in rows if "loss" in row]
        above.plot([r["step"] for r in losses], [r["loss"] for r in losses], linewidth=0.8)
        above.set(title=stage, ylabel="loss", yscale="log")
        reports = [row for row in rows if "loss" not in row]
        for name in sorted({name for row in reports for name in row} - AXES):
            points = [(row["step"], row[name]) for row in reports if name in row]
            below.plot(*zip(*points, strict=True), marker=".", linewidth=0.8, label=name)
        below.set(xlabel="step", ylabel="held out")
        below.legend(fontsize=5)
    figure.savefig(image)


if __name__ == "__main__":
    plot(Path(sys.argv[1]), Path(sys.argv[2]))
