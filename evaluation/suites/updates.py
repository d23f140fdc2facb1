"""Facts written one call at a time, and facts written over and over."""

from __future__ import annotations

from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import counterfact
from evaluation.result import Result

REWRITES = 5


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
