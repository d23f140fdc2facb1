"""CounterFact, all facts together in one tenant; prompts as they are, distractors included.

Beside generation: ROME's efficacy, paraphrase and neighbourhood *success* (S: the new object is
likelier than the true one; for neighbours the other way round) and *magnitude* (M: the mean
difference of probabilities), from `score`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import Case, counterfact
from evaluation.result import Result

SCORED = 300  # cases that are scored, and asked indirectly


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = counterfact(data, n)
    result = Result("counterfact", len(cases))
    tenant.write([case.fact() for case in cases])
    result.matches("edit", [c.prompt for c in cases], tenant.ask([c.prompt for c in cases]),
                   [c.target for c in cases])  # fmt: skip
    kinds = {
        "paraphrase": [(p, c.target) for c in cases for p in c.paraphrases],
        "indirect": [(p, c.target) for c in cases[:SCORED] for p in c.indirect[:1]],
    }
    for name, asks in kinds.items():
        prompts = [p for p, _ in asks]
        result.matches(name, prompts, tenant.ask(prompts), [t for _, t in asks])
    prompts = neighbours(cases)
    result.equal("neighbours equal base", prompts, *tenant.beside_base(prompts))
    _scores(tenant, cases[:SCORED], result)
    return result


def neighbours(cases: Sequence[Case], each: int = 2) -> list[str]:
    """`each` neighbourhood prompts a case that no stored fact of the relation is about."""
    stored: dict[str, list[str]] = {}
    for case in cases:
        stored.setdefault(case.relation, []).append(case.subject)
    found: dict[str, None] = {}
    for case in cases:
        free = [p for p in case.neighbours if not any(s in p for s in stored[case.relation])]
        found |= dict.fromkeys(free[:each])
    return list(found)


def _scores(tenant: Tenant, cases: Sequence[Case], result: Result) -> None:
    kinds = {
        "edit": [(c.prompt, c.target, c.true) for c in cases],
        "paraphrase": [(p, c.target, c.true) for c in cases for p in c.paraphrases[:1]],
        "neighbours": [(p, c.true, c.target) for c in cases for p in c.neighbours[:1]],
    }
    for name, rows in kinds.items():
        wanted = tenant.score([(p, f" {a}") for p, a, _ in rows])
        other = tenant.score([(p, f" {b}") for p, _, b in rows])
        result.add(f"S, {name}", [a > b for a, b in zip(wanted, other, strict=True)])
        gaps = [math.exp(a) - math.exp(b) for a, b in zip(wanted, other, strict=True)]
        result.figures[f"M, {name}"] = sum(gaps) / max(1, len(gaps))
