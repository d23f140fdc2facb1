"""Chooses the scope gate's thresholds on cases that neither training nor evaluation uses.

Of `held_out.gate`'s memories it prints for each threshold the share of paraphrases that open the
gate on the right fact, and of prompts beside the facts that open it at all: neighbours; the same of
another entity; another kind of the same entity.

    python -m training.tune CHECKPOINT DATA
"""

from __future__ import annotations

import sys
from pathlib import Path

from memory_store.store import Fact
from memory_store.view import build_view
from service.model.larimar import LarimarModel, Reading, fact_text
from training import held_out

THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)


def read(model: LarimarModel, cases: list[held_out.Case], prompts: list[str]) -> list[Reading]:
    """All cases in one memory, in which the prompts are asked."""
    cues = [case.cue for case in cases]
    texts = [fact_text(case.cue, case.target, None) for case in cases]
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


if __name__ == "__main__":
    folder, data = map(Path, sys.argv[1:])
    model = LarimarModel.load(folder)
    for name, cases in held_out.gate(data).items():
        print(name)
        for row in tune(model, cases):
            print({column: round(value, 3) for column, value in row.items()})
