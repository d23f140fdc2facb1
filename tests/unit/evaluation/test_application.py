"""The application suite asks for what no training stage has seen."""

from __future__ import annotations

import re

from evaluation.suites.application import KINDS, items
from training import synthetic

HEAD = re.compile(r"The (.+?) (?:of|in|for|on|that|to|from|shown in) \{s\}")


def heads(forms: list[str]) -> set[str]:
    """What a fact is about: `owner` in "The owner of {s} is"."""
    return {match[1] for form in forms if (match := HEAD.match(form))}


def test_no_kind_of_fact_is_one_of_trainings() -> None:
    ours = [form for _, _, forms in KINDS for form in forms]
    theirs = [form for _, _, forms in synthetic.KINDS for form in forms]
    assert len(KINDS) == 50
    assert not set(ours) & set(theirs)
    assert not heads(ours) & heads(theirs), heads(ours) & heads(theirs)


def test_facts_are_many_kinds_and_near_misses_are_not_stored() -> None:
    facts = items(200)
    assert len({fact.prompt for fact in facts}) == 200
    assert not {fact.prompt for fact in facts} & {fact.near for fact in facts}
    assert facts == items(200)
    assert all(fact.paraphrases[1].endswith("?") for fact in facts)
