"""Suites: each writes facts into a fresh tenant and asks. Results are rows of shares."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.api import Tenant
from evaluation.cases import Case, counterfact
from evaluation.metrics import Share, clean, match, share


@dataclass
class Result:
    """Named shares, and the cases behind every miss."""

    suite: str
    facts: int
    shares: dict[str, Share] = field(default_factory=dict)
    misses: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, hits: list[bool]) -> None:
        self.shares[name] = share(hits)


def single_tenant(tenant: Tenant, data: Path, n: int) -> Result:
    """CounterFact, all facts together in one tenant: edit, paraphrase, neighbours, forgetting."""
    cases = counterfact(data, n)
    result = Result("counterfact", len(cases))
    tenant.write([case.fact() for case in cases])
    asked = _edits(tenant, cases, result)
    _neighbours(tenant, cases, result)
    _forgetting(tenant, cases, asked, result)
    return result


def _edits(tenant: Tenant, cases: list[Case], result: Result) -> list[str]:
    direct = tenant.ask([c.prompt for c in cases])
    result.add("edit", [match(a.text, c.target) for a, c in zip(direct, cases, strict=True)])
    result.add("edit, clean", [clean(a.text, c.target) for a, c in zip(direct, cases, strict=True)])
    other = [(p, c) for c in cases for p in c.paraphrases]
    answers = tenant.ask([p for p, _ in other])
    hits = [match(a.text, c.target) for a, (_, c) in zip(answers, other, strict=True)]
    result.add("paraphrase", hits)
    result.add("paraphrase in scope", [a.in_scope for a in answers])
    everything = zip([*direct, *answers], [(c.prompt, c) for c in cases] + other, strict=True)
    result.misses += [{"prompt": p, "target": c.target, "text": a.text, "in_scope": a.in_scope,
                       "confidence": a.confidence}
                      for a, (p, c) in everything if not match(a.text, c.target)]  # fmt: skip
    return [a.text for a in direct]


def _neighbours(tenant: Tenant, cases: list[Case], result: Result) -> None:
    prompts = list(dict.fromkeys(p for c in cases for p in c.neighbours))
    edited, base = tenant.ask(prompts, tokens=8), tenant.ask(prompts, "never", tokens=8)
    same = [a.text == b.text for a, b in zip(edited, base, strict=True)]
    result.add("neighbours equal base", same)
    pairs = zip(prompts, edited, base, strict=True)
    result.misses += [{"neighbour": p, "text": a.text, "base": b.text, "confidence": a.confidence}
                      for p, a, b in pairs if a.text != b.text]  # fmt: skip


def _forgetting(tenant: Tenant, cases: list[Case], before: list[str], result: Result) -> None:
    chosen = set(random.Random(0).sample(range(len(cases)), len(cases) // 2))
    erased = [cases[i] for i in sorted(chosen)]
    tenant.forget([c.id for c in erased])
    pairs = [(c.prompt, c.target) for c in erased]
    scores = zip(tenant.score(pairs), tenant.score(pairs, "never"), strict=True)
    same = [abs(auto - base) <= 1e-4 for auto, base in scores]
    result.add("erased: score equals base within 1e-4", same)
    kept = [i for i in range(len(cases)) if i not in chosen]
    after = tenant.ask([cases[i].prompt for i in kept])
    same = [a.text == before[i] for a, i in zip(after, kept, strict=True)]
    result.add("retained: generation unchanged", same)


SUITES: dict[str, Callable[[Tenant, Path, int], Result]] = {"counterfact": single_tenant}
