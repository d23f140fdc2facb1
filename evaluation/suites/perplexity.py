"""WikiText-2 with an unrelated memory loaded: reading costs the model nothing it knew."""

from __future__ import annotations

import math
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import counterfact, running_text
from evaluation.result import Result


def run(tenant: Tenant, data: Path, n: int) -> Result:
    """Second halves of paragraphs of the unseen tenth, scored after the first halves."""
    tenant.write([case.fact() for case in counterfact(data, n)])
    lines = running_text(data)
    words = [line.split()[:80] for line in lines[len(lines) * 9 // 10 :]]
    pairs = [(" ".join(w[:40]), " " + " ".join(w[40:])) for w in words if len(w) >= 60]
    result = Result("perplexity", n)
    with_memory, base = tenant.score(pairs), tenant.score(pairs, "never")
    same = [abs(a - b) <= 1e-4 * max(1.0, abs(b)) for a, b in zip(with_memory, base, strict=True)]
    result.add("log-probability equals base", same)
    count = sum(len(target.split()) for _, target in pairs)
    result.figures["perplexity a word, memory loaded"] = math.exp(-sum(with_memory) / count)
    result.figures["perplexity a word, base"] = math.exp(-sum(base) / count)
    return result
