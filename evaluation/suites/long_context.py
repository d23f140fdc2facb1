"""256 facts scattered over 100,000 tokens of running text, which goes in as one document."""

from __future__ import annotations

import re
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import counterfact, running_text, zsre
from evaluation.result import Result

CHARACTERS = 4.4  # of a token of this text
TOKENS = 100_000


def run(tenant: Tenant, data: Path, n: int) -> Result:
    cases = counterfact(data, n)
    result = Result("long-context", len(cases))
    lines = _filler(data, TOKENS)
    gap = len(lines) / len(cases)
    for i, case in reversed(list(enumerate(cases))):
        lines.insert(int(i * gap), f"{case.prompt} {case.target}.")
    tenant.document(" ".join(lines))
    prompts, targets = [c.prompt for c in cases], [c.target for c in cases]
    result.matches("cue", prompts, tenant.ask(prompts), targets)
    asks = [(p, c.target) for c in cases for p in c.paraphrases]
    result.matches("paraphrase", [p for p, _ in asks], tenant.ask([p for p, _ in asks]),
                   [t for _, t in asks])  # fmt: skip
    prompts = [c.neighbours[0] for c in zsre(data, n)]
    result.equal("unrelated equal base", prompts, *tenant.beside_base(prompts))
    return result


def _filler(data: Path, tokens: int) -> list[str]:
    """Sentences of WikiText-2, about `tokens` in all."""
    sentences = [s for line in running_text(data) for s in re.split(r"(?<=[.!?]) +", line)]
    found, length = [], 0
    for sentence in sentences:
        found.append(sentence)
        length += len(sentence) + 1
        if length >= tokens * CHARACTERS:
            break
    return found
