"""Facts of the kinds that applications write: owners, prices, versions, dates, policies.

kinds/*.txt have a kind a line: a maker of entities, a maker of values (makers.py and the module of
the same name), and wordings with `{s}` for the entity: completions and questions. None of these
kinds is in evaluation's application suite (a test says so). Entities have many kinds each, so that
another fact of the same entity is a lesson too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from training import makers
from training.data import Ask
from training.kinds import encyclopedia, organisations, technology
from training.makers import Make, Rng

Kind = tuple[Make, Make, tuple[str, ...]]


def _kinds(module: ModuleType, name: str) -> Iterator[Kind]:
    """Of kinds/NAME.txt: lines `name = value, value` are makers too, the rest are kinds."""
    found: dict[str, Make] = vars(makers) | vars(module)
    text = Path(__file__).with_name("kinds").joinpath(f"{name}.txt").read_text("utf-8")
    for line in text.splitlines():
        if ";" in line:
            entity, value, forms = (part.strip() for part in line.split(";"))
            yield found[entity], found[value], tuple(form.strip() for form in forms.split("|"))
        else:
            maker, values = line.split(" = ")
            found[maker] = _one_of(values.split(", "))


def _one_of(values: Sequence[str]) -> Make:
    return lambda r: r.choice(values)


KINDS: tuple[Kind, ...] = (
    *_kinds(makers, "applications"),
    *_kinds(organisations, "organisations"),
    *_kinds(encyclopedia, "encyclopedia"),
    *_kinds(technology, "technology"),
)
TUNING: tuple[Kind, ...] = tuple(_kinds(makers, "tuning"))  # in no training (tune.py)


def ask(rng: Rng) -> Ask:
    """A fact of a random kind, asked for in another of its wordings."""
    entity, value, forms = rng.choice(KINDS)
    subject, target = entity(rng), value(rng)
    prompt, query = rng.choice(cues(forms)), rng.choice(forms)
    return Ask(fill(prompt, subject), target, fill(query, subject))


def cues(forms: tuple[str, ...]) -> list[str]:
    """The wordings that a value completes."""
    return [form for form in forms if not form.endswith("?")]


def fill(form: str, subject: str) -> str:
    text = form.format(s=subject)
    return text[0].upper() + text[1:]


def turned(prompt: str, target: str) -> str | None:
    """The fact with its value first ("Ana Silva is the owner of X"), where that can be said."""
    match = re.fullmatch(r"The (.+) is", prompt)
    return f"{target} is the {match[1]}" if match else None
