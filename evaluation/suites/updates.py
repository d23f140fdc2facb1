"""Facts alone in a tenant, facts written one call at a time, and facts written over and over."""

from __future__ import annotations

from pathlib import Path

from evaluation.api import Answer, Tenant
from evaluation.cases import counterfact
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours

REWRITES = 5


def single(tenant: Tenant, data: Path, n: int) -> Result:
    """One fact at a time: written, asked for, erased."""
    cases = counterfact(data, n)
    result, near = Result("single", 1), [neighbours([c]) for c in cases]
    asks = [(p, c.target) for c in cases for p in c.paraphrases]
    edits, paraphrases = list[Answer](), list[Answer]()
    answers, base = list[Answer](), list[str]()
    for case, prompts in zip(cases, near, strict=True):
        tenant.write([case.fact()])
        edits += tenant.ask([case.prompt])
        paraphrases += tenant.ask(case.paraphrases)
        said = tenant.beside_base(prompts)
        answers, base = answers + said[0], base + said[1]
        tenant.forget([case.id])
    result.matches("edit", [c.prompt for c in cases], edits, [c.target for c in cases])
    result.matches("paraphrase", [p for p, _ in asks], paraphrases, [t for _, t in asks])
    result.equal("neighbours equal base", [p for prompts in near for p in prompts], answers, base)
    return result


def sequential(tenant: Tenant, data: Path, n: int) -> Result:
    """`n` writes of one fact each; all are asked for at the end."""
    cases = counterfact(data, n)
    for case in cases:
        tenant.write([case.fact()])
    result = Result("sequential", len(cases))
    prompts = [c.prompt for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts), [c.target for c in cases])
    return result


def rewritten(tenant: Tenant, data: Path, n: int) -> Result:
    """Each fact gets another object five times; the last one is the answer."""
    cases = counterfact(data, n)
    targets = [c.target for c in cases]
    for turn in range(REWRITES):
        moved = targets[turn:] + targets[:turn]
        tenant.write([{**c.fact(), "target": t} for c, t in zip(cases, moved, strict=True)])
    result = Result("updates", len(cases))
    prompts = [c.prompt for c in cases]
    result.matches("last of 5 rewrites", prompts, tenant.ask(prompts), moved)
    return result
