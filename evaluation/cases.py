"""Cases that training did not see (training/data.py holds their subjects out).

CounterFact: full_dev.json (ROME's schema) and then val.json, one case a subject, without the last
cases of full_dev, on which the gate's threshold is chosen (training/tune.py). zsRE: the tail of
train_1k.json, one case a subject. KnowEdit's wiki_counterfact took no part in training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TUNED = 150  # last cases of full_dev.json: for the threshold and the adapter's scale
ZSRE_SEEN = 800  # first cases of train_1k.json: for training


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    prompt: str
    target: str
    true: str  # what the world says
    subject: str
    paraphrases: tuple[str, ...]
    neighbours: tuple[str, ...]  # prompts that the edit must not touch
    indirect: tuple[str, ...] = ()  # the subject is mentioned, the fact is not asked for
    relation: str = ""

    def fact(self) -> dict[str, Any]:
        return {"id": self.id, "prompt": self.prompt, "target": self.target}

    def statement(self, target: str | None = None) -> str:
        """The fact as a sentence; with another object, if one is given."""
        return f"{self.prompt} {target or self.target}."


@cache
def _load(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def _one_a_subject(cases: list[Case], limit: int) -> list[Case]:
    first: dict[str, Case] = {}
    for case in cases:
        first.setdefault(case.subject.casefold(), case)
    return list(first.values())[:limit]


def counterfact(data: Path, limit: int) -> list[Case]:
    """Cases with paraphrases first, then those with a locality prompt only."""
    folder = data / "counterfact"
    full = [_full(c) for c in _load(folder / "full_dev.json")]
    tuned = {case.subject.casefold() for case in full[-TUNED:]}
    flat = [_flat(c) for c in _load(folder / "val.json")]
    return _one_a_subject([c for c in full + flat if c.subject.casefold() not in tuned], limit)


def inversions(data: Path) -> dict[str, str]:
    """A sentence for each relation that does not end in its object (PARAREL): [X] ... [Y]."""
    found: dict[str, str] = {}
    for path in sorted((data / "pararel" / "patterns").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            pattern = " ".join(json.loads(line)["pattern"].replace(" .", ".").split())
            if "[X]" in pattern and "[Y]" in pattern and not pattern.rstrip(".").endswith("[Y]"):
                found.setdefault(path.stem, pattern)
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
        indirect=tuple(case["generation_prompts"]),
        relation=edit["relation_id"],
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
        indirect=(case["rephrase_prompt"],),
    )


def zsre(data: Path, limit: int, *, seen: bool = False) -> list[Case]:
    """Questions; with `seen`, those that training saw (company for the others in a memory)."""
    cases = _load(data / "zsre" / "train_1k.json")
    part = cases[:ZSRE_SEEN] if seen else cases[ZSRE_SEEN:]
    found = [Case(f"zsre-{i}-{seen}", c["src"], c["alt"].strip(), c["answers"][0], c["subject"],
                  (c["rephrase"],), (f"{c['loc'].removeprefix('nq question: ')}?",))
             for i, c in enumerate(part)]  # fmt: skip
    return _one_a_subject(found, limit)


@dataclass(frozen=True, slots=True)
class Linked:
    """A fact of KnowEdit with prompts that lie around it, each with its answer if it has one."""

    case: Case
    aliases: tuple[tuple[str, str], ...]  # the subject under another name
    hops: tuple[tuple[str, str], ...]  # one step of reasoning away
    others: tuple[str, ...]  # other relations of the subject


def knowedit(data: Path, keep: Callable[[Linked], bool]) -> list[Linked]:
    """Cases of wiki_counterfact, one a subject, for which `keep` holds."""
    found: dict[str, Linked] = {}
    for i, c in enumerate(_load(data / "knowedit" / "wiki_counterfact_dev.json")):
        around, local = c.get("portability", {}), c.get("locality", {})
        case = Case(
            f"ke-{i}", c["prompt"], c["target_new"], c["ground_truth"], c["subject"], (), ()
        )
        linked = Linked(
            case,
            _pairs(around.get("Subject_Aliasing", [])),
            _pairs(around.get("Reasoning", [])),
            tuple(row["prompt"] for row in local.get("Relation_Specificity", [])),
        )
        if keep(linked):
            found.setdefault(case.subject.casefold(), linked)
    return list(found.values())


def _pairs(rows: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((row["prompt"], _flat_answer(row["ground_truth"])) for row in rows)


def _flat_answer(answer: Any) -> str:
    """KnowEdit nests answers and their aliases in lists: the first."""
    while isinstance(answer, list):
        answer = answer[0] if answer else ""
    return str(answer)


def running_text(data: Path) -> list[str]:
    """Paragraphs of WikiText-2, its tokenisation undone; the last tenth is unseen."""
    raw = (data / "text" / "wikitext2_valid.txt").read_text("utf-8")
    lines = [line.strip() for line in raw.splitlines() if len(line) > 80]
    return [_untokenised(line) for line in lines]


def _untokenised(line: str) -> str:
    line = re.sub(r" @([-,.])@ ", r"\1", line.replace("<unk>", "one"))
    line = re.sub(r" ([,.;:!?)\]'%])", r"\1", line)
    return re.sub(r"([(\[$]) ", r"\1", line).replace(" n't", "n't")
