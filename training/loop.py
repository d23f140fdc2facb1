"""The loop that every stage of the recipe runs in.

AdamW with a warm-up and a cosine, mixed precision and gradient accumulation where the hardware
asks for them, a progress bar, one JSON line a log entry, and a checkpoint from which the same
command goes on after an interruption.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where a stage runs. `accumulate`: parts that the batch of a step is taken in, to save memory;
    `workers`: processes that make batches, 0 for none but this one."""

    device: str = "cpu"
    mixed: bool = False  # bfloat16 autocast
    accumulate: int = 1
    workers: int = 0

    @staticmethod
    def best(accumulate: int = 1) -> Hardware:
        """A GPU in bfloat16 if there is one."""
        if not torch.cuda.is_available():
            return Hardware(accumulate=accumulate)
        workers = max(0, (os.cpu_count() or 1) - 2)
        return Hardware("cuda", True, accumulate, workers=min(14, workers))

    def part(self, batch: int) -> int:
        """How much of a step's batch is in memory at a time."""
        return max(1, batch // self.accumulate)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stage trains. `rate`: the share of its learning rates that it takes, smaller to go on
    from a finished checkpoint."""

    steps: int
    hardware: Hardware = field(default_factory=Hardware)
    seed: int = 0
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters with their peak learning rate."""

    parameters: list[nn.Parameter]
    peak: float


class Run:
    """One stage's optimisation of `groups`, kept in `out`/NAME.pt and log.jsonl."""

    def __init__(self, out: Path, groups: list[Group], plan: Plan, decay: float = 0.0) -> None:
        self.out, self.groups, self.plan = out, groups, plan
        self.step, self.started, self.loss = 0, time.time(), 0.0
        self.file = out / f"{out.name}.pt"
        out.mkdir(parents=True, exist_ok=True)
        rows = [{"params": group.parameters} for group in groups]
        self.optimizer = torch.optim.AdamW(rows, betas=(0.9, 0.98), weight_decay=decay)
        for parameter in self._parameters():
            parameter.requires_grad_(True)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.groups for p in group.parameters]

    def resume(self) -> State | None:
        """What `save` kept, with the optimiser and the step restored; None at the first start."""
        if not self.file.exists():
            return None
        saved = torch.load(self.file, weights_only=True, map_location="cpu")
        if saved.get("optimizer"):
            self.optimizer.load_state_dict(saved["optimizer"])
        self.step = int(saved["step"])
        state: State = saved["state"]
        return state

    def save(self, state: State) -> None:
        whole = {"state": dict(state), "optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save(whole, self.file.with_suffix(".tmp"))
        self.file.with_suffix(".tmp").rename(self.file)

    def rate(self, peak: float) -> float:
        """Learning rate of the current step: linear warm-up, cosine to 2 % of the plan's share of
        `peak`."""
        steps = self.plan.steps
        warm = min(1.0, self.step / max(1, min(100, steps // 6)))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / steps)))
        return self.plan.rate * peak * warm * (0.02 + 0.98 * cosine)

    def __iter__(self) -> Iterator[int]:
        """The steps that are left, counted from 1, under a progress bar."""
        with Progress(transient=True) as bar:
            task = bar.add_task(self.out.name, total=self.plan.steps, completed=self.step)
            while self.step < self.plan.steps:
                self.step += 1
                yield self.step
                bar.update(
                    task, completed=self.step, description=f"{self.out.name} {self.loss:.3f}"
                )

    def descend(self, loss_of: Callable[[], Tensor]) -> float:
        """One optimiser step over `accumulate` calls of `loss_of`, a part of the batch each; its
        mean loss."""
        hardware, total = self.plan.hardware, 0.0
        for group, wanted in zip(self.optimizer.param_groups, self.groups, strict=True):
            group["lr"] = self.rate(wanted.peak)
        self.optimizer.zero_grad()
        for _ in range(hardware.accumulate):
            with torch.autocast(hardware.device, torch.bfloat16, enabled=hardware.mixed):
                loss = loss_of() / hardware.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._parameters(), 1.0)
        self.optimizer.step()
        self.loss = 0.95 * self.loss + 0.05 * total if self.loss else total
        return total

    def due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.plan.steps

    def log(self, **row: Any) -> None:
        """One line of log.jsonl; floats are rounded."""
        named = {"step": self.step, **row, "seconds": time.time() - self.started}
        line = {k: round(v, 4) if isinstance(v, float) else v for k, v in named.items()}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
