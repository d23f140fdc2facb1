"""The mean of several adapters, made stronger: the last step of the adapter's stage.

Weights of runs that began from the same adapter are averaged (model soups, Wortsman et al. 2022,
arXiv 2203.05482), and the mean's update B A is scaled. The scale is the one with the most exact
answers (teacher-forced) on cases that neither training nor evaluation uses (held_out.soup), and
takes the place of the run's result: `larimar train --stage adapter` then assembles it.

    python -m training.soup DATA RUNS ADAPTER.pt ADAPTER.pt ...
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.model import lora
from training import adapter, held_out
from training.loop import Group, Run
from training.stages import Setup

SCALES = (1.0, 1.1, 1.2, 1.3)


def mean(states: Sequence[Mapping[str, Tensor]], scale: float) -> dict[str, Tensor]:
    """The adapters' mean, tensor by tensor, with its update B A times `scale`."""
    found = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    return {k: v * scale if k.endswith("lora_B.weight") else v for k, v in found.items()}


def cook(setup: Setup, files: Sequence[Path]) -> None:
    """The best mean of the adapters in `files` becomes the result of the adapter's stage."""
    saved: list[dict[str, Any]] = [torch.load(file, weights_only=True) for file in files]
    states, cases = [one["state"] for one in saved], held_out.soup(setup.data)
    scores: dict[float, dict[str, float]] = {}
    for scale in SCALES:
        lora.load(setup.base.adapters, mean(states, scale))
        scores[scale] = {k: adapter.exactness(setup.base, v) for k, v in cases.items()}
        print(scale, {k: round(v, 4) for k, v in scores[scale].items()}, flush=True)
    best = max(SCALES, key=lambda scale: sum(scores[scale].values()))
    parameters = lora.parameters(setup.base.adapters)
    run = Run(setup.runs / "adapter", [Group(parameters, 0.0)], setup.plan(0))
    run.step = max(one["step"] for one in saved)
    run.save(mean(states, best))
    run.log(mean_of=[one["step"] for one in saved], scale=best, **scores[best])


if __name__ == "__main__":
    data, runs, *files = map(Path, sys.argv[1:])
    cook(Setup(data, runs), files)
