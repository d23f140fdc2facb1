"""What lies around a fact (KnowEdit): other relations of the subject, its aliases, one hop."""

from __future__ import annotations

import re
import unicodedata
from itertools import cycle
from pathlib import Path

from evaluation.api import Tenant
from evaluation.cases import Linked, knowedit
from evaluation.metrics import match
from evaluation.result import Result

TOKENS = 24  # of the longest target that fits into a fact
BARE = (  # name a subject and ask nothing of it; written without a look at training's
    "Write a short limerick that mentions {} somewhere in the second line.",
    "I was thinking about {} on the bus this morning and",
    "lol my brother will not shut up about {}",
    "Do you think {} is overrated?",
    'Fix the grammar: "me and him was talking of {} yesterday"',
    "Compose a haiku inspired by {}.",
    "After everything that had been said about {},",
    "Anyway, {} came up at dinner again and it got awkward. "
    "How do I change the subject politely next time?",
    "Make this sound more formal: hey, just wanted to chat about {} when you get a sec",
    "Honestly, {} just makes me smile.",
    "Give me a funny opening line for a speech in which I bring up {}.",
    '"Not {} again," she sighed, putting down her cup, because',
    "Can we talk about {} for a bit? I'm bored.",
    "Pretend you're a grumpy pirate who has just heard of {} for the first time.",
    "Shorten this tweet: I really can't believe that I spent my whole entire weekend reading about "
    "{} instead of sleeping",
    "There are people who love {}, people who don't, and",
)  # fmt: skip


def stored(tenant: Tenant, name: str, cases: list[Linked], n: int) -> tuple[Result, list[Linked]]:
    """Writes the first `n` that the service takes; what is too long for it is counted."""
    kept, seen, refused = list[Linked](), 0, 0
    while len(kept) < n and seen < len(cases):
        part = cases[seen : seen + n - len(kept)]
        seen += len(part)
        long = set(tenant.write([one.case.fact() for one in part]))
        refused += len(long)
        kept += [one for i, one in enumerate(part) if i not in long]
    result = Result(name, len(kept))
    result.figures["facts refused as too long"] = refused
    return result, kept


def same_subject(tenant: Tenant, data: Path, n: int) -> Result:
    """Another relation of an edited subject stays what the base model says; so does its bare name.

    A string match of the subject would open on every prompt that names it.
    """
    cases = knowedit(data, lambda one: bool(one.others))
    result, cases = stored(tenant, "same-subject", cases, n)
    prompts, targets = [c.case.prompt for c in cases], [c.case.target for c in cases]
    result.matches("edit", prompts, tenant.ask(prompts, tokens=TOKENS), targets)
    prompts = [one.others[0] for one in cases]
    result.equal("other relation equals base", prompts, *tenant.beside_base(prompts))
    subjects = [one.case.subject for one in cases]
    named = [s.casefold() in p.casefold() for s, p in zip(subjects, prompts, strict=True)]
    result.figures["other relations whose prompt names the subject"] = sum(named)
    prompts = [form.format(subject) for form, subject in zip(cycle(BARE), subjects, strict=False)]
    result.equal("bare subject equals base", prompts, *tenant.beside_base(prompts))
    return result


def alias(tenant: Tenant, data: Path, n: int) -> Result:
    """The subject under another name: the memory is told nothing of names.

    By how the name differs; and with the gate held open, which is what addresses and decoder reach.
    """
    cases = knowedit(data, lambda one: bool(one.aliases))
    result, cases = stored(tenant, "alias", cases, n)
    prompts, targets = [one.aliases[0][0] for one in cases], [one.case.target for one in cases]
    answers = tenant.ask(prompts, tokens=TOKENS)
    result.matches("alias", prompts, answers, targets)
    kinds = [difference(p, one.case.prompt) for p, one in zip(prompts, cases, strict=True)]
    for kind in DIFFERENCES:
        rows = zip(answers, targets, kinds, strict=True)
        result.add(f"alias, {kind}", [match(a.text, t) for a, t, k in rows if k == kind])
    forced = zip(tenant.ask(prompts, "always", TOKENS), targets, strict=True)
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
    cases = knowedit(data, lambda one: bool(one.hops))
    result, cases = stored(tenant, "portability", cases, n)
    prompts, answers = zip(*(one.hops[0] for one in cases), strict=True)
    result.matches("one hop", prompts, tenant.ask(prompts, tokens=TOKENS), answers)
    return result
