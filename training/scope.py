"""Trains and calibrates the scope gate on real reads (lessons.py).

Calibration (Platt scaling, with cosine and lead beside the logit) is fitted on held-out reads: of
kinds that it has learned by heart a gate is surer than of those that users write. The expected
calibration error is reported on the half of the cases that a fit on the other half did not see.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from service.model import lora
from service.model.scope import WEIGHED, ScopeGate, weighed
from training.lessons import Batches, Episodes, Sample
from training.loop import Group, Plan, Run, State

BATCH = 64  # samples of a step; on a GPU LARGER times as many
TOGETHER = 32  # of like length, in one call of the encoder
LARGER = 4
BINS = 10  # of probability, for the calibration error


def loss_of(gate: ScopeGate, samples: list[Sample]) -> Tensor:
    logits, labels = _judged(gate, samples)
    return F.binary_cross_entropy_with_logits(logits, labels)


def _judged(gate: ScopeGate, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Uncalibrated logits and labels; samples of like length share a call."""
    order = sorted(range(len(samples)), key=lambda i: len(samples[i].unit) + len(samples[i].fact))
    ordered, size = [samples[i] for i in order], TOGETHER * _larger(gate.encoder.device.type)
    parts = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    logits = [gate.logits([s.unit for s in p], [s.fact for s in p],
                          torch.tensor([s.match for s in p])) for p in parts]  # fmt: skip
    labels = torch.tensor([s.label for s in samples])
    found = torch.cat(logits).float()[torch.tensor(order).argsort()]
    return found, labels.to(found.device)


@torch.no_grad()
def scores(gate: ScopeGate, samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Uncalibrated logits, match and labels, on the CPU."""
    logits, labels = _judged(gate, samples)
    match = torch.tensor([s.match for s in samples])
    return logits.cpu(), match, labels.cpu()


def calibrate(gate: ScopeGate, logits: Tensor, match: Tensor, labels: Tensor) -> None:
    """Platt scaling of `scores`, with cosine and lead beside the logit, by L-BFGS on log loss."""
    known, weights = weighed(logits, match), torch.eye(1, WEIGHED)[0].requires_grad_(True)
    optimizer = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(known @ weights, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    gate.calibration.data.copy_(weights.detach())


def checked(gate: ScopeGate, samples: list[Sample]) -> dict[str, float]:
    """Calibrates on all samples; reports on every second case, calibrated on the others."""
    found, told = scores(gate, samples), torch.tensor([s.case % 2 == 1 for s in samples])
    calibrate(gate, *(column[~told] for column in found))
    measured = report(gate, *(column[told] for column in found))
    calibrate(gate, *found)
    return measured


def report(gate: ScopeGate, logits: Tensor, match: Tensor, labels: Tensor) -> dict[str, float]:
    """Of `scores`: error at .5, area under the ROC curve, expected calibration error; N samples."""
    device = gate.calibration.device
    p = gate.calibrated(logits.to(device), match.to(device)).cpu()
    auc = (p[labels == 1][:, None] > p[labels == 0][None]).float().mean()
    which = (p * BINS).long().clamp(max=BINS - 1)
    gaps = [(which == b).float().mean() * (p[which == b].mean() - labels[which == b].mean()).abs()
            for b in range(BINS) if (which == b).any()]  # fmt: skip
    missed = (p[labels == 1] < 0.5).float().mean()
    fired = (p[labels == 0] >= 0.5).float().mean()
    return {
        "auc": float(auc),
        "ece": float(sum(gaps)),
        "missed": float(missed),
        "fired": float(fired),
        "n": float(len(labels)),
    }


def state(gate: ScopeGate) -> State:
    head = {f"head.{name}": tensor for name, tensor in gate.head.state_dict().items()}
    return {**lora.state(gate.encoder.adapters), **head, "calibration": gate.calibration.data}


def load(gate: ScopeGate, saved: State) -> None:
    """A head for other features than today's is not taken over: it starts anew."""
    delta = {name: t for name, t in saved.items() if name.startswith(lora.PREFIX)}
    lora.load(gate.encoder.adapters, delta)
    rest = {k: v for k, v in saved.items() if k not in delta}
    if rest["head.0.weight"].shape == gate.head[0].weight.shape:
        gate.load_state_dict(rest, strict=False)


def _larger(device: str) -> int:
    return 1 if device == "cpu" else LARGER


def train(
    gate: ScopeGate, episodes: Callable[[int], Episodes], held_out: list[Sample], out: Path,
    plan: Plan,
) -> None:  # fmt: skip
    """`episodes` makes them from a seed, in this process or in the hardware's workers."""
    hardware = plan.hardware
    groups = [Group(lora.parameters(gate.encoder.adapters), 5e-4),
              Group(list(gate.head.parameters()), 4e-3)]  # fmt: skip
    run = Run(out, groups, plan, decay=0.01)
    if saved := run.resume():
        load(gate, saved)
    size = hardware.part(BATCH * _larger(hardware.device))
    batches = Batches(episodes, size, plan.seed + run.step)
    start = "spawn" if hardware.workers else None
    stream = iter(
        DataLoader(batches, None, num_workers=hardware.workers, multiprocessing_context=start)
    )

    for _ in run:
        loss = run.descend(lambda: loss_of(gate, next(stream)))
        if run.due(10):
            run.log(loss=loss)
        if run.due(200):
            run.log(**checked(gate, held_out))
            run.save(state(gate))
