"""Cases that training did not see.

CounterFact: every case of full_dev.json (ROME's schema) and of val.json whose subject does not
occur in train.json, which is stricter than what training leaves out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    prompt: str
    target: str
    true: str  # what the world says
    subject: str
    paraphrases: tuple[str, ...]
    neighbours: tuple[str, ...]  # prompts that the edit must not touch

    def fact(self) -> dict[str, Any]:
        return {"id": self.id, "prompt": self.prompt, "target": self.target}


def counterfact(data: Path, limit: int) -> list[Case]:
    """Cases with paraphrases first, then those with a locality prompt only."""
    folder = data / "counterfact"
    seen = {case["subject"] for case in _load(folder / "train.json")}
    full = [_full(c) for c in _load(folder / "full_dev.json")]
    flat = [_flat(c) for c in _load(folder / "val.json")]
    cases: dict[str, Case] = {}
    for case in full + flat:
        if case.subject not in seen:
            cases.setdefault(case.subject, case)
    return list(cases.values())[:limit]


def _load(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def _full(case: dict[str, Any]) -> Case:
    edit = case["requested_rewrite"]
    return Case(
        id=f"cf-{case['case_id']}",
        prompt=edit["prompt"].format(edit["subject"]),
        target=edit["target_new"]["str"],
        true=edit["target_true"]["str"],
        subject=edit["subject"],
        paraphrases=tuple(case["paraphrase_prompts"]),
        neighbours=tuple(case["neighborhood_prompts"]),
    )


def _flat(case: dict[str, Any]) -> Case:
    return Case(
        id=f"cf-{case['case_id']}",
        prompt=case["prompt"],
        target=case["target_new"],
        true=case["ground_truth"],
        subject=case["subject"],
        paraphrases=(),
        neighbours=(case["locality_prompt"],),
    )
