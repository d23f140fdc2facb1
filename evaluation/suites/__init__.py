"""Suites by name: each fills a fresh tenant, asks, and returns shares. One file a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluation.api import Tenant
from evaluation.result import Result
from evaluation.suites import (
    application,
    around,
    counterfact,
    forgetting,
    leakage,
    long_context,
    perplexity,
    statements,
    updates,
    zsre,
)


@dataclass(frozen=True, slots=True)
class Suite:
    """`n`: how many facts the published figures are for."""

    run: Callable[[Tenant, Path, int], Result]
    n: int


SUITES: dict[str, Suite] = {
    "single": Suite(updates.single, 100),
    "counterfact": Suite(counterfact.run, 1000),
    "zsre": Suite(zsre.run, 500),
    "statements": Suite(statements.run, 500),
    "same-subject": Suite(around.same_subject, 300),
    "alias": Suite(around.alias, 300),
    "portability": Suite(around.portability, 300),
    "application": Suite(application.run, 200),
    "sequential": Suite(updates.sequential, 1000),
    "updates": Suite(updates.rewritten, 200),
    "forgetting": Suite(forgetting.run, 1000),
    "leakage": Suite(leakage.run, 100),
    "long-context": Suite(long_context.run, 256),
    "perplexity": Suite(perplexity.run, 200),
}
