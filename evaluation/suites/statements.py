"""Facts given as sentences only (`text`), asked by prompt; and stated anew with another object."""

from __future__ import annotations

from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import Case, counterfact, inversions
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours

INVERTED = 200  # cases that are told in another order as well


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = counterfact(data, n)
    result = Result("statements", len(cases))
    tenant.write([{"text": case.statement()} for case in cases])
    prompts, targets = [c.prompt for c in cases], [c.target for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts), targets)
    asks = [(p, c.target) for c in cases for p in c.paraphrases]
    result.matches("paraphrase", [p for p, _ in asks], tenant.ask([p for p, _ in asks]),
                   [t for _, t in asks])  # fmt: skip
    around = neighbours(cases)
    result.equal("neighbours equal base", around, *tenant.beside_base(around))
    tenant.write([{"text": c.statement(c.true)} for c in cases])
    true = [c.true for c in cases]
    result.matches("restated: the newest wins", prompts, tenant.ask(prompts), true)
    _inverted(tenant, data, cases[:INVERTED], result)
    return result


def _inverted(tenant: Tenant, data: Path, cases: list[Case], result: Result) -> None:
    """Sentences whose object stands before the subject, or within."""
    forms = inversions(data)
    cases = [c for c in cases if c.relation in forms]
    texts = [forms[c.relation].replace("[X]", c.subject).replace("[Y]", c.target) for c in cases]
    tenant.clear()
    refused = set(tenant.write([{"text": text} for text in texts])) if texts else set()
    cases = [c for i, c in enumerate(cases) if i not in refused]
    prompts = [c.prompt for c in cases]
    result.matches("object before the end", prompts, tenant.ask(prompts), [c.target for c in cases])
