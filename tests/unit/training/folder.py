"""A data folder with the schema of the public sets, a few made-up cases of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PEOPLE = [
    f"{first} {last}" for first in ("Ada", "Bo", "Cleo", "Dan") for last in "Ash Birch".split()
]
CITIES = ["Paris", "Rome", "Oslo", "Lima", "Cairo"]


def _lines(rows: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, rows))


def _flat(i: int, subject: str) -> dict[str, Any]:
    return {"case_id": i, "subject": subject, "prompt": f"{subject} was born in",
            "target_new": CITIES[i % 5], "ground_truth": CITIES[(i + 1) % 5],
            "rephrase_prompt": f"Home of {subject}:",
            "locality_prompt": f"{f'Someone {i}' if i else 'Eve Elm'} was born in"}  # fmt: skip


def _nested(i: int, subject: str) -> dict[str, Any]:
    edit = {"prompt": "{} was born in", "subject": subject, "target_new": {"str": CITIES[i % 5]}}
    return {"case_id": i, "requested_rewrite": edit,
            "paraphrase_prompts": [f"It was late. {subject} originates from"],
            "neighborhood_prompts": ["Eve Elm was born in", "Flo Fir was born in"]}  # fmt: skip


def _question(i: int) -> dict[str, Any]:
    return {"subject": f"firm {i}", "src": f"What does firm {i} make?", "alt": f"paint {i % 7}",
            "rephrase": f"What is made by firm {i}?", "answers": ["soap"],
            "loc": "nq question: who sang"}  # fmt: skip


def write(folder: Path) -> Path:
    context = "The tower stands in Lyon. It was built by Ivo Kern in 1901. Many people visit it."
    start = context.index("Ivo Kern")
    files: dict[str, Any] = {
        "counterfact/train.json": [_flat(i, person) for i, person in enumerate(PEOPLE)],
        "counterfact/val.json": [_flat(90, "Gus Gum")],
        "counterfact/full_dev.json": [_nested(i, f"Person {i}") for i in range(12)],
        "zsre/train_1k.json": [_question(i) for i in range(812)],
        "scope/edits_with_questions.json": [
            {"edit": "Ada Ash lives in Rome", "questions": ["Where does Ada Ash live?"]},
            {"edit": "Cy Cole lives in New York", "questions": ["Where does Cy Cole live?"]},
            {"edit": "The home of Person 3, a poet, is Rome", "questions": ["Where is it?"]}],
        "squad/sample.json": [{"context": context, "question": "Who built the tower?",
                               "answer": "Ivo Kern", "answer_span": [start, start + 8]}],
        "lre_relations/factual/home.json": {
            "prompt_templates": ["{} has a home in"], "prompt_templates_zs": ["{} resides in"],
            "samples": [{"subject": p, "object": CITIES[i % 5]} for i, p in enumerate(PEOPLE)]},
        "pararel/patterns/P19.jsonl": [{"pattern": "[X] was born in [Y]."},
                                       {"pattern": "[X] is originally from [Y]."}],
        "pararel/trex_lms_vocab/P19.jsonl": [
            {"sub_label": p, "obj_label": CITIES[i % 5]} for i, p in enumerate(PEOPLE)],
    }  # fmt: skip
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_lines(content) if name.endswith("jsonl") else json.dumps(content))
    text = "The river is long and slow near the old mill, and boats lie there all the summer ."
    (folder / "text").mkdir()
    (folder / "text" / "wikitext2_valid.txt").write_text(
        "\n".join([f"{text} No {i} ." for i in range(200)])
    )
    return folder
