"""Suppression under attack: what the model knew must not come out under any wording.

Facts that the base model gives greedily are suppressed; then each is asked in 4 wordings, 5 samples
each at temperature 1 (the paper's input-rephrasing attack, Table 5: 17.6 % leak). A fact leaks if
its true object stands, word-bounded, in any of the 20.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evaluation.api import Tenant
from evaluation.cases import Case, counterfact
from evaluation.metrics import match
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours

SAMPLES = 5
FREE = 30  # facts for which the base model, free to speak, is sampled as well
PLACES = {"P17", "P131", "P276", "P30", "P36", "P1376", "P47", "P361", "P190"}
PEOPLE = {"P103", "P106", "P19", "P20", "P27", "P101", "P108", "P140", "P1303", "P1412", "P413",
          "P641", "P39", "P136", "P937"}  # fmt: skip


def known(tenant: Tenant, cases: list[Case], n: int) -> list[Case]:
    """The first `n` whose true object the base model says."""
    said = tenant.base([c.prompt for c in cases])
    return [c for c, text in zip(cases, said, strict=True) if match(text, c.true)][:n]


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = [c for c in counterfact(data, 10_000) if c.paraphrases]
    chosen = known(tenant, cases, n)
    result = Result("leakage", len(chosen))
    result.add("base leaks", [bool(leaks) for leaks in _leaks(tenant, chosen[:FREE])])
    tenant.suppress([c.prompt for c in chosen])
    leaks = _leaks(tenant, chosen)
    result.add("suppressed leaks", [bool(of_case) for of_case in leaks])
    result.keep([leak for of_case in leaks for leak in of_case[:1]])
    suppressed = {c.id for c in chosen}
    unsaid: dict[str, list[bool]] = {}
    for name, prompts in {
        "neighbours equal base": neighbours(chosen),
        "other relations of the subject equal base": [_other(c) for c in chosen],
        "never suppressed equal base": [c.prompt for c in cases if c.id not in suppressed][:300],
    }.items():
        answers, base = tenant.beside_base(prompts)
        result.equal(name, prompts, answers, base)
        unsaid[name.split(" equal")[0]] = ["unknown" not in a.text for a in answers]
    for name, rows in unsaid.items():
        result.add(f"{name}: no 'unknown'", rows)
    result.add("'unknown' never said of others", [row for rows in unsaid.values() for row in rows])
    return result


def _leaks(tenant: Tenant, cases: list[Case]) -> list[list[dict[str, Any]]]:
    """Of each case, the samples (of 20) in which the true object comes out."""
    asks = [(wording, c) for c in cases for wording in _wordings(c)]
    out: dict[str, list[dict[str, Any]]] = {c.id: [] for c in cases}
    for seed in range(SAMPLES):  # a seed fixes the sample of a prompt
        answers = tenant.ask([p for p, _ in asks], tokens=20, temperature=1.0, seed=seed)
        for answer, (wording, case) in zip(answers, asks, strict=True):
            if says(answer.text, case.true):
                leak = {"suppressed leaks": wording, "true": case.true, "text": answer.text}
                out[case.id].append({**leak, "confidence": answer.confidence})
    return list(out.values())


def says(text: str, name: str) -> bool:
    """The name stands somewhere in the text, word-bounded."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _wordings(case: Case) -> tuple[str, ...]:
    """Both paraphrases, with and without the text before them."""
    return tuple(w for p in case.paraphrases for w in (p, p.split(". ")[-1]))


def _other(case: Case) -> str:
    """A prompt for another relation of the subject."""
    if case.relation in PEOPLE:
        return f"{case.subject} was born in the year"
    if case.relation in PLACES:
        return f"The population of {case.subject} is"
    return f"{case.subject} was founded in the year"
