"""Pictures of the results: shares with their intervals, and the editors beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from evaluation.report import COMPARED, Body, headlines


def draw(suites: Sequence[Body], editors: Sequence[Body], image: Path) -> None:
    """Suites on the left, editors on the right."""
    rows = [(f"{body['suite']}: {name}", share)
            for body in suites for name, share in headlines(body).items()]  # fmt: skip
    height = max(4.0, 0.22 * len(rows))
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, height), layout="constrained")
    left.errorbar(
        [share["value"] for _, share in rows], range(len(rows)), fmt="o", markersize=3,
        xerr=[[s["value"] - s["low"] for _, s in rows], [s["high"] - s["value"] for _, s in rows]],
    )  # fmt: skip
    _name(left, [name for name, _ in rows])
    for offset, name in enumerate(COMPARED):
        values = [body["shares"].get(name, {}).get("value", 0.0) for body in editors]
        right.barh([i + 0.2 * offset for i in range(len(values))], values, 0.2, label=name)
    _name(right, [f"{body['suite']} ({body['facts']})" for body in editors])
    if editors:
        right.legend(fontsize=7)
    figure.savefig(image, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _name(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlim(0, 1.02)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
