"""Edits by a method, then the questions that the service is asked in suites/counterfact.py.

*single*: each edit alone, in a fresh model. *together*: all of them, one after the other, in one
model; asked when `together` of them are in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evaluation.api import Answer
from evaluation.cases import Case
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours

EACH = 2  # paraphrases, and neighbours, asked a case


class Method(Protocol):
    """One way to edit. `edit` adds up until `reset`."""

    def edit(self, case: Case) -> None: ...
    def reset(self) -> None: ...
    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]: ...


@dataclass
class _Asked:
    """Prompts, answers, and what the answers should be."""

    prompts: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)

    def ask(
        self, method: Method, prompts: Sequence[str], wanted: Sequence[str], tokens: int
    ) -> None:
        self.prompts += prompts
        self.wanted += wanted
        # a plain decoder has no gate
        self.answers += [Answer(text, True, 1.0) for text in method.generate(prompts, tokens)]


class Measurement:
    """What a method answers, case by case or all at once."""

    def __init__(self, method: Method, base: dict[str, str]) -> None:
        self.method, self.base = method, base
        self.edits, self.paraphrases, self.near = _Asked(), _Asked(), _Asked()
        self.seconds: list[float] = []

    def edit(self, case: Case) -> None:
        started = time.perf_counter()
        self.method.edit(case)
        self.seconds.append(time.perf_counter() - started)

    def ask(self, cases: Sequence[Case]) -> None:
        targets = [c.target for c in cases]
        self.edits.ask(self.method, [c.prompt for c in cases], targets, 12)
        asks = [(p, c.target) for c in cases for p in c.paraphrases[:EACH]]
        self.paraphrases.ask(self.method, [p for p, _ in asks], [t for _, t in asks], 12)
        near = neighbours(cases, EACH)
        self.near.ask(self.method, near, [self.base[p] for p in near], 8)

    def result(self, suite: str, facts: int) -> Result:
        found = Result(suite, facts)
        for name, asked in (("edit", self.edits), ("paraphrase", self.paraphrases)):
            found.matches(name, asked.prompts, asked.answers, asked.wanted)
            found.shares.pop(f"{name}, in scope", None)
        near = self.near
        found.equal("neighbours equal base", near.prompts, near.answers, near.wanted)
        found.figures["seconds per edit"] = sum(self.seconds) / max(1, len(self.seconds))
        return found


def single(name: str, method: Method, cases: Sequence[Case], base: dict[str, str]) -> Result:
    """Every case by itself."""
    measured = Measurement(method, base)
    for case in cases:
        method.reset()
        measured.edit(case)
        measured.ask([case])
    method.reset()
    return measured.result(f"{name}-single", 1)


def together(
    name: str, method: Method, cases: Sequence[Case], base: dict[str, str], sizes: Sequence[int]
) -> Iterator[Result]:
    """All cases in one model: one result for each of `sizes`, asked of all that are in."""
    method.reset()
    seconds: list[float] = []
    for i, case in enumerate(cases, 1):
        measured = Measurement(method, base)
        measured.edit(case)
        seconds += measured.seconds
        if i in sizes:
            measured.seconds = seconds
            measured.ask(cases[:i])
            yield measured.result(f"{name}-{i}", i)
    method.reset()
