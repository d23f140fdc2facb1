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

AXES = {"step", "seconds", "loss", "n", "mean_of", "scale"}


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def plot(runs: Path, image: Path) -> None:
    """One column a stage that has a log, loss above and reports below; ValueError if none has."""
    logs = {stage: runs / stage / "log.jsonl" for stage in STAGES}
    found = {stage: rows_of(log) for stage, log in logs.items() if log.exists()}
    figure, axes = plt.subplots(
        2, len(found), figsize=(4 * len(found), 6), layout="constrained", squeeze=False
    )
    for (above, below), (stage, rows) in zip(axes.T, found.items(), strict=True):
        losses = [row for row in rows if "loss" in row]
        above.plot([r["step"] for r in losses], [r["loss"] for r in losses], linewidth=0.8)
        above.set(title=stage, ylabel="loss", yscale="log")
        reports = [row for row in rows if "loss" not in row]
        for name in sorted({name for row in reports for name in row} - AXES):
            points = [(row["step"], row[name]) for row in reports if name in row]
            below.plot(*zip(*points, strict=True), marker=".", linewidth=0.8, label=name)
        below.set(xlabel="step", ylabel="held out")
        if reports:
            below.legend(fontsize=5)
    figure.savefig(image)
    plt.close(figure)


if __name__ == "__main__":
    plot(Path(sys.argv[1]), Path(sys.argv[2]))
