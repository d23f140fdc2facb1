"""Chooses the scope gate's threshold on cases that neither training nor evaluation uses.

The last cases of CounterFact's full_dev: their subjects are held out of training, and
evaluation/cases.py leaves them out. Prints, for each threshold, the share of paraphrases that open
the gate on the right fact and of neighbours that open it at all.

    python -m training.tune CHECKPOINT DATA
"""

from __future__ import annotations

import sys
from pathlib import Path

from evaluation.cases import TUNED
from memory_store.store import Fact
from memory_store.view import build_view
from service.model.larimar import LarimarModel, fact_text
from training.data import load_json

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def tune(model: LarimarModel, data: Path) -> list[dict[str, float]]:
    """One row a threshold; all facts in one memory."""
    cases = load_json(data / "counterfact" / "full_dev.json")[-TUNED:]
    edits = [c["requested_rewrite"] for c in cases]
    cues = [edit["prompt"].format(edit["subject"]) for edit in edits]
    texts = [
        fact_text(cue, e["target_new"]["str"], None) for cue, e in zip(cues, edits, strict=True)
    ]
    addresses, latents = model.address.encode(cues).numpy(), model.latents(texts).numpy()
    vectors = zip(cues, addresses, latents, strict=True)
    facts = [Fact(cue, a, z, id=str(i)) for i, (cue, a, z) in enumerate(vectors)]
    memory = build_view(facts, model.spec)
    asks = [(p, str(i)) for i, c in enumerate(cases) for p in c["paraphrase_prompts"]]
    near = [p for c in cases for p in c["neighborhood_prompts"][:4]]
    prompts = [p for p, _ in asks] + near
    readings = model.read(prompts, [memory] * len(prompts), [False] * len(prompts))
    found, strangers = readings[: len(asks)], readings[len(asks) :]
    right = [
        r.confidence if r.ids[:1] == (id,) else 0.0 for r, (_, id) in zip(found, asks, strict=True)
    ]
    return [{"threshold": t, "paraphrase": sum(p >= t for p in right) / len(right),
             "neighbours": sum(r.confidence >= t for r in strangers) / len(strangers),
             "n": len(right) + len(strangers)} for t in THRESHOLDS]  # fmt: skip


if __name__ == "__main__":
    folder, data = map(Path, sys.argv[1:])
    for row in tune(LarimarModel.load(folder), data):
        print({name: round(value, 3) for name, value in row.items()})
