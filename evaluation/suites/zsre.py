"""zsRE: questions, one edit a subject (the set contradicts itself), asked among many others.

Only the cases that training left out are asked; the others keep them company in the memory.
"""

from __future__ import annotations

from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import zsre
from evaluation.result import Result


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = zsre(data, n)
    asked = {c.subject.casefold() for c in cases}
    company = [c for c in zsre(data, 10 * n, seen=True) if c.subject.casefold() not in asked]
    stored = [*cases, *company[: n - len(cases)]]
    result = Result("zsre", len(stored))
    tenant.write([case.fact() for case in stored])
    targets = [c.target for c in cases]
    prompts = [c.prompt for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts), targets)
    prompts = [c.paraphrases[0] for c in cases]
    result.matches("paraphrase", prompts, tenant.ask(prompts), targets)
    prompts = [p for c in cases for p in c.neighbours]
    result.equal("unrelated questions equal base", prompts, *tenant.beside_base(prompts))
    return result
