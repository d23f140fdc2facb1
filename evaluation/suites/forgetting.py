"""Half of the facts are erased: nothing of them is left, and the others do not change.

What is left may answer in place of what went (memory `always` reads whatever is nearest, and the
gate may take a survivor for it), so with survivors it is held to a memory that never had the
erased facts, written in the same order; and to the base model once all are erased.
"""

from __future__ import annotations

import random
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import counterfact
from evaluation.result import Result

TOLERANCE = 1e-4  # of a log-probability


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = counterfact(data, n)
    result = Result("forgetting", len(cases))
    tenant.write([case.fact() for case in cases])
    chosen = {c.id for c in random.Random(0).sample(cases, len(cases) // 2)}
    erased, kept = [c for c in cases if c.id in chosen], [c for c in cases if c.id not in chosen]
    before = [answer.text for answer in tenant.ask([c.prompt for c in kept])]
    tenant.forget([c.id for c in erased])
    prompts = [c.prompt for c in kept]
    result.equal("retained: generation unchanged", prompts, tenant.ask(prompts), before)
    kinds = {
        "cue": [(c.prompt, f" {c.target}") for c in erased],
        "paraphrase": [(p, f" {c.target}") for c in erased for p in c.paraphrases[:1]],
    }
    modes = ("auto", "always")
    after = {(kind, mode): tenant.score(pairs, mode)
             for kind, pairs in kinds.items() for mode in modes}  # fmt: skip
    for kind, pairs in kinds.items():
        base = tenant.score(pairs, "never")
        _equal(result, f"erased, {kind}: score equals base", pairs, after[kind, "auto"], base)
    tenant.clear()
    tenant.write([c.fact() for c in kept])
    for (kind, mode), scores in after.items():
        name = f"erased, {kind}, memory {mode}: score as if never written"
        _equal(result, name, kinds[kind], scores, tenant.score(kinds[kind], mode))
    tenant.forget([c.id for c in kept])
    for kind, pairs in kinds.items():
        scores, base = tenant.score(pairs, "always"), tenant.score(pairs, "never")
        name = f"all erased, {kind}, memory always: score equals base"
        _equal(result, name, pairs, scores, base)
    return result


def _equal(
    result: Result,
    name: str,
    pairs: list[tuple[str, str]],
    scores: list[float],
    others: list[float],
) -> None:
    """Adds the share of scores that are the same, and keeps those that are not."""
    same = [abs(a - b) <= TOLERANCE for a, b in zip(scores, others, strict=True)]
    result.add(name, same)
    rows = zip(pairs, scores, others, same, strict=True)
    result.keep([{name: p, "target": t, "score": a, "instead of": b}
                 for (p, t), a, b, equal in rows if not equal])  # fmt: skip
