"""Pictures of the results: shares with their intervals, and the editors beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from evaluation.report import COMPARED, Body, editor, headlines

Share = dict[str, Any]  # of a result file


def draw(suites: Sequence[Body], editors: Sequence[Body], image: Path) -> None:
    """Suites on the left, editors, if there are any, on the right."""
    rows = [(f"{body['suite']}: {name}", share)
            for body in suites for name, share in headlines(body).items()]  # fmt: skip
    size = (13 if editors else 7, max(4.0, 0.22 * len(rows)))
    figure, axes = plt.subplots(
        1, 2 if editors else 1, figsize=size, squeeze=False, layout="constrained"
    )
    _points(axes[0, 0], {i: share for i, (_, share) in enumerate(rows)})
    _name(axes[0, 0], [name for name, _ in rows])
    if editors:
        _compare(axes[0, 1], editors)
    figure.savefig(image, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _compare(axes: Axes, editors: Sequence[Body]) -> None:
    """A point a measure, one below the other at each editor."""
    for offset, name in enumerate(COMPARED):
        at = {i + 0.2 * offset - 0.3: body["shares"][name]
              for i, body in enumerate(editors) if name in body["shares"]}  # fmt: skip
        _points(axes, at, name)
    _name(axes, [f"{editor(body)} ({body['facts']})" for body in editors])
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(COMPARED))


def _points(axes: Axes, at: dict[float, Share], label: str | None = None) -> None:
    """Shares with their intervals, each at its height."""
    shares = at.values()
    beside = [[s["value"] - s["low"] for s in shares], [s["high"] - s["value"] for s in shares]]
    axes.errorbar([s["value"] for s in shares], list(at), xerr=beside, fmt="o", markersize=3,
                  label=label)  # fmt: skip


def _name(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
