"""Calibrates the scope gate, and shows what thresholds do, on cases that neither training nor
evaluation uses (held_out.gate).

The calibrated checkpoint goes to OUT, with the gate's new report and this revision in its card.
For each threshold: the share of paraphrases that open the gate on the right fact, and of prompts
beside the facts that open it at all: neighbours; the same of another entity; another kind of the
same entity.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from evaluation.report import revision
from memory_store.store import Fact
from memory_store.view import build_view
from service.model.checkpoint import FILES, Checkpoint, save
from service.model.larimar import LarimarModel, Reading
from training import held_out, scope
from training.lessons import held_out_samples

THRESHOLDS = (0.3, 0.4, 0.45, 0.5, 0.53, 0.55, 0.57, 0.59, 0.61, 0.65, 0.7, 0.8)


def read(model: LarimarModel, cases: list[held_out.Case], prompts: list[str]) -> list[Reading]:
    """All cases in one memory, in which the prompts are asked."""
    cues, texts = [case.key for case in cases], [case.fact for case in cases]
    addresses, latents = model.address.encode(cues).numpy(), model.latents(texts).numpy()
    vectors = enumerate(zip(cues, addresses, latents, strict=True))
    memory = build_view([Fact(*vector, id=str(i)) for i, vector in vectors], model.spec)
    return model.read(prompts, [memory] * len(prompts), [False] * len(prompts))


def tune(model: LarimarModel, cases: list[held_out.Case]) -> list[dict[str, float]]:
    """One row a threshold."""
    asks = [(p, str(i)) for i, case in enumerate(cases) for p in case.paraphrases]
    beside = [(p, name) for case in cases for name, prompts in case.beside.items() for p in prompts]
    readings = read(model, cases, [p for p, _ in [*asks, *beside]])
    right = [r.confidence if r.ids[:1] == (id,) else 0.0
             for r, (_, id) in zip(readings, asks, strict=False)]  # fmt: skip
    sure = {"paraphrase": right}
    for reading, (_, name) in zip(readings[len(asks) :], beside, strict=True):
        sure.setdefault(name, []).append(reading.confidence)
    return [{"threshold": t} | {name: sum(c >= t for c in found) / len(found)
                                for name, found in sure.items()}
            for t in THRESHOLDS]  # fmt: skip


def calibrated(
    folder: Path, memories: Iterable[list[held_out.Case]], out: Path
) -> tuple[LarimarModel, dict[str, float]]:
    """The checkpoint in `folder` with its gate calibrated anew, in `out`; the gate's report."""
    model, found = LarimarModel.load(folder), Checkpoint(folder)
    samples = held_out_samples(model.address, memories)
    report = scope.checked(model.gate, samples)
    found.card["quality"]["scope"] |= report
    found.card["revision"] = revision()
    parts = {file: found.tensors(file) for file in FILES}
    parts["scope.safetensors"] |= {"calibration": model.gate.calibration.data}
    save(out, found.card, parts)
    return model, report


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {column: round(value, 4) for column, value in row.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m training.tune", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, help="folder of the public sets")
    parser.add_argument("out", type=Path, help="folder of the calibrated checkpoint")
    chosen = parser.parse_args()
    memories = held_out.gate(chosen.data)
    model, report = calibrated(chosen.checkpoint, memories.values(), chosen.out)
    print(_rounded(report))
    for name, cases in memories.items():
        print(name)
        for row in tune(model, cases):
            print(_rounded(row))
