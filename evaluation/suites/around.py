"""What lies around a fact (KnowEdit): other relations of the subject, its aliases, one hop."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import Linked, knowedit
from evaluation.metrics import match
from evaluation.result import Result


def _write(tenant: Tenant, name: str, cases: list[Linked]) -> tuple[Result, list[Linked]]:
    """Writes the facts; what is too long for the model is not asked for, but counted."""
    refused = set(tenant.write([one.case.fact() for one in cases]))
    kept = [one for i, one in enumerate(cases) if i not in refused]
    result = Result(name, len(kept))
    result.figures["facts refused as too long"] = len(refused)
    return result, kept


def same_subject(tenant: Tenant, data: Path, n: int) -> Result:
    """Another relation of an edited subject stays what the base model says."""
    cases = knowedit(data, n, lambda one: bool(one.others))
    result, cases = _write(tenant, "same-subject", cases)
    prompts = [c.case.prompt for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts), [c.case.target for c in cases])
    prompts = [one.others[0] for one in cases]
    result.equal("other relation equals base", prompts, *tenant.beside_base(prompts))
    return result


def alias(tenant: Tenant, data: Path, n: int) -> Result:
    """The subject under another name: the memory is told nothing of names.

    By how the name differs; and with the gate held open, which is what addresses and decoder reach.
    """
    cases = knowedit(data, n, lambda one: bool(one.aliases))
    result, cases = _write(tenant, "alias", cases)
    prompts, targets = [one.aliases[0][0] for one in cases], [one.case.target for one in cases]
    answers = tenant.ask(prompts)
    result.matches("alias", prompts, answers, targets)
    kinds = [difference(p, one.case.prompt) for p, one in zip(prompts, cases, strict=True)]
    for kind in DIFFERENCES:
        rows = zip(answers, targets, kinds, strict=True)
        result.add(f"alias, {kind}", [match(a.text, t) for a, t, k in rows if k == kind])
    forced = zip(tenant.ask(prompts, "always"), targets, strict=True)
    result.add("alias, memory always", [match(a.text, t) for a, t in forced])
    return result


DIFFERENCES = ("same words", "words more or fewer", "other words")


def difference(alias: str, prompt: str) -> str:
    """Which of DIFFERENCES there is; accents, case, signs and order are none."""
    one, other = (set(re.findall(r"\w+", _plain(text))) for text in (alias, prompt))
    return DIFFERENCES[0 if one == other else 1 if one < other or other < one else 2]


def _plain(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in spread if not unicodedata.combining(c))


def portability(tenant: Tenant, data: Path, n: int) -> Result:
    """A question whose answer follows from the fact and one that the model knows."""
    cases = knowedit(data, n, lambda one: bool(one.hops))
    result, cases = _write(tenant, "portability", cases)
    prompts, answers = zip(*(one.hops[0] for one in cases), strict=True)
    result.matches("one hop", prompts, tenant.ask(prompts), answers)
    return result
