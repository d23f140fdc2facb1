"""A data folder with the schema of the public sets: a few made-up cases, base answers known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.engine.fake import base_answer

ROOTS = "amber birch cedar dune ember fjord grove heath islet juniper".split()


def _cue(i: int) -> str:
    return f"The keeper of {ROOTS[i % 10]}-{i} is"


def _nested(i: int) -> dict[str, Any]:
    subject = f"{ROOTS[i % 10]}-{i}"
    edit = {"prompt": "The keeper of {} is", "subject": subject, "relation_id": "P1",
            "target_new": {"str": f"Keeper{i}"},
            "target_true": {"str": base_answer(_cue(i)).strip()}}  # fmt: skip
    return {"case_id": i, "requested_rewrite": edit,
            "paraphrase_prompts": [f"Rain fell. The keeper of {subject} is",
                                   f"Night came. The keeper of {subject} is"],
            "neighborhood_prompts": [f"Somebody in far off region {i} lives at",
                                     f"Nobody in country {i} knows whether"],
            "generation_prompts": [f"Seen from {subject}, the sky"]}  # fmt: skip


def _linked(i: int) -> dict[str, Any]:
    return {
        "subject": f"{ROOTS[i]} works", "prompt": f"The maker of {ROOTS[i]} works is",
        "target_new": f"Maker{i}", "ground_truth": "nobody",
        "portability": {
            "Subject_Aliasing": [{"prompt": f"The maker of {ROOTS[i]} works ltd is",
                                  "ground_truth": f"Maker{i}"}],
            "Reasoning": [{"prompt": f"Where was whoever made {ROOTS[i]} works born?",
                           "ground_truth": [["Lyon", "Lugdunum"]]}]},
        "locality": {"Relation_Specificity": [{"prompt": f"How old, roughly, is {ROOTS[i]}?"}]},
    }  # fmt: skip


def _question(i: int) -> dict[str, Any]:
    return {"subject": f"firm {i}", "src": f"What does firm {i} make?", "alt": f"paint{i}",
            "rephrase": f"What does the firm {i} make?", "answers": ["soap"],
            "loc": f"nq question: who sang in {i} evenings"}  # fmt: skip


def write(folder: Path) -> Path:
    text = "The river is long and slow near the old mill , and boats lie there all the summer ."
    files: dict[str, Any] = {
        "counterfact/full_dev.json": [_nested(i) for i in range(160)],
        "counterfact/val.json": [],
        "knowedit/wiki_counterfact_dev.json": [_linked(i) for i in range(6)],
        "zsre/train_1k.json": [_question(i) for i in range(806)],
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), "utf-8")
    (folder / "text").mkdir()
    patterns = folder / "pararel" / "patterns"
    patterns.mkdir(parents=True)
    forms = ["[X] is kept by [Y] .", "[Y] is the keeper of [X] ."]
    (patterns / "P1.jsonl").write_text("\n".join(json.dumps({"pattern": f}) for f in forms))
    lines = [f"Line {i} . " + " ".join([text] * 4) for i in range(30)]
    (folder / "text" / "wikitext2_valid.txt").write_text("\n".join(lines), "utf-8")
    return folder
