"""Facts given as sentences only (`text`), asked by prompt; and stated anew with another object."""

from __future__ import annotations

from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import counterfact
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = counterfact(data, n)
    result = Result("statements", len(cases))
    tenant.write([case.statement() for case in cases])
    prompts, targets = [c.prompt for c in cases], [c.target for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts), targets)
    asks = [(p, c.target) for c in cases for p in c.paraphrases]
    result.matches("paraphrase", [p for p, _ in asks], tenant.ask([p for p, _ in asks]),
                   [t for _, t in asks])  # fmt: skip
    around = neighbours(cases)
    result.equal("neighbours equal base", around, *tenant.beside_base(around))
    tenant.write([{"text": f"{c.prompt} {c.true}"} for c in cases])
    true = [c.true for c in cases]
    result.matches("restated: the newest wins", prompts, tenant.ask(prompts), true)
    return result
