"""What training measures itself on: cases whose subjects no stage sees (data.py)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from evaluation.cases import TUNED
from training import synthetic
from training.data import join, load_json, sentences, zsre
from training.makers import near

ENTITIES = 4  # of each kind that thresholds are chosen on
BARE = (  # in no episode and in no suite
    "Say something about {}.", "I was reminded of {} and", "Not everyone likes {},",
    "Who has not heard of {}?", "So much for {}.", "An ode to {}",
)  # fmt: skip


def _counterfact(data: Path, n: int) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = load_json(data / "counterfact" / "full_dev.json")
    return cases[:n]


def _cue(case: dict[str, Any]) -> str:
    edit = case["requested_rewrite"]
    cue: str = edit["prompt"].format(edit["subject"])
    return cue


def _target(case: dict[str, Any]) -> str:
    target: str = case["requested_rewrite"]["target_new"]["str"]
    return target


def texts(data: Path, tokenizer: Tokenizer, limit: int) -> dict[str, list[list[int]]]:
    """Token rows: 300 facts of CounterFact, 200 of zsRE, 240 of the kinds that applications write
    (names, numbers, dates), sentences; those of under `limit`."""
    lines = (data / "text" / "wikitext2_valid.txt").read_text("utf-8").splitlines()
    found = {
        "counterfact": [f"{_cue(c)} {_target(c)}" for c in _counterfact(data, 300)],
        "zsre": [f"{c['src']} {c['alt']}" for c in zsre(data, train=False)],
        "applications": [case.fact for case in _kinds()],
        "text": sentences(lines[-150:])[:200],
    }
    rows = {
        k: [tokenizer.encode(t, add_special_tokens=False).ids for t in v] for k, v in found.items()
    }
    fitting = {k: [row for row in v if len(row) < limit] for k, v in rows.items()}
    return {k: v for k, v in fitting.items() if v}


def asks(data: Path) -> dict[str, list[tuple[str, str, str]]]:
    """(fact text, prompt, target), 96 of each kind."""
    cases, questions = _counterfact(data, 96), zsre(data, train=False)[:96]
    facts = [(f"{_cue(c)} {_target(c)}", c) for c in cases]
    return {
        "counterfact": [(fact, _cue(c), _target(c)) for fact, c in facts],
        "counterfact_paraphrase": [(fact, c["paraphrase_prompts"][0], _target(c))
                                   for fact, c in facts],
        "zsre_paraphrase": [(f"{c['src']} {c['alt']}", c["rephrase"], c["alt"]) for c in questions],
    }  # fmt: skip


def soup(data: Path) -> dict[str, list[tuple[str, str, str]]]:
    """(fact text, prompt, target) of which evaluation takes none: the cases that the gate's
    threshold is chosen on (tune.py), and 200 generated facts."""
    cases = load_json(data / "counterfact" / "full_dev.json")[-TUNED:]
    facts = [(f"{_cue(c)} {_target(c)}", c) for c in cases]
    rng = random.Random(-1)
    made = [synthetic.ask(rng) for _ in range(200)]
    return {
        "tuning_cue": [(fact, _cue(c), _target(c)) for fact, c in facts],
        "tuning_paraphrase": [(fact, prompt, _target(c))
                              for fact, c in facts for prompt in c["paraphrase_prompts"]],
        "generated": [(join(a.prompt, a.target), a.query, a.target) for a in made],
    }  # fmt: skip


def paraphrases(data: Path) -> list[tuple[str, str, list[str]]]:
    """(cue, paraphrase, two neighbours) of 400 cases of CounterFact."""
    return [(_cue(c), c["paraphrase_prompts"][0].split(". ")[-1], c["neighborhood_prompts"][:2])
            for c in _counterfact(data, 400)]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A fact, given as a prompt and its target or in a sentence, and prompts around it."""

    cue: str
    target: str
    paraphrases: tuple[str, ...]
    beside: dict[str, tuple[str, ...]]  # prompts that ask for something else, by what they are
    text: str | None = None

    @property
    def key(self) -> str:
        """What its address is made of."""
        return self.text or self.cue

    @property
    def fact(self) -> str:
        """What its latent holds."""
        return self.text or join(self.cue, self.target)


def gate(data: Path) -> dict[str, list[Case]]:
    """What the gate is calibrated on and its thresholds are chosen on, a memory each: the last
    cases of CounterFact's full_dev, which evaluation leaves out, as prompts and as sentences, and
    kinds that no episode has."""
    edits = _apart(_edits(data))
    told = [replace(case, text=f"{join(case.cue, case.target)}.") for case in edits]
    return {"counterfact": edits, "statements": told, "kinds": _apart(_kinds())}


def _apart(cases: Iterable[Case]) -> list[Case]:
    """No cue twice, and nothing beside one that asks for another."""
    found = {case.cue: case for case in cases}
    stored = set(found) | {p for case in found.values() for p in case.paraphrases}
    return [replace(case, beside={name: tuple(p for p in prompts if p not in stored)
                                  for name, prompts in case.beside.items()})
            for case in found.values()]  # fmt: skip


def _edits(data: Path) -> Iterator[Case]:
    for case in load_json(data / "counterfact" / "full_dev.json")[-TUNED:]:
        edit = case["requested_rewrite"]
        yield Case(edit["prompt"].format(edit["subject"]), edit["target_new"]["str"],
                   tuple(case["paraphrase_prompts"]),
                   {"neighbours": tuple(case["neighborhood_prompts"][:4]),
                    "bare subject": _bare(edit["subject"])})  # fmt: skip


def _bare(subject: str) -> tuple[str, ...]:
    """Two prompts that only name it."""
    start = len(subject) % len(BARE)
    return tuple(form.format(subject) for form in (BARE * 2)[start : start + 2])


def _kinds(seed: int = 5) -> Iterator[Case]:
    r = random.Random(seed)
    for entity, value, forms in synthetic.TUNING * ENTITIES:
        subject = entity(r)
        cue, *others = (synthetic.fill(form, subject) for form in forms)
        strange = [forms for maker, _, forms in synthetic.TUNING if maker is entity]
        strange = [found for found in strange if found is not forms]
        stranger = near(entity, subject, r) or entity(r)
        yield Case(cue, value(r), tuple(others), {
            "another entity": (synthetic.fill(forms[0], stranger),),
            "another kind": tuple(synthetic.fill(r.choice(f), subject) for f in strange[:3]),
            "bare subject": _bare(subject),
        })  # fmt: skip
