"""What evaluation asks about is in no training set."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from service.model.address import AddressEncoder
from tests.unit.training import folder
from training.data import HeldOut, Relations
from training.scope import Episodes


def test_edits_that_name_a_subject_of_evaluation_are_left_out(tmp_path: Path) -> None:
    relations = Relations(folder.write(tmp_path))
    assert [case["edit"] for case in relations.pokemqa] == ["Ada Ash lives in Rome"]


def test_a_name_is_found_as_whole_words(tmp_path: Path) -> None:
    held = HeldOut(folder.write(tmp_path))
    assert held.named("Where was person 3 (born 1990)?")
    assert not held.named("Where were person 33 and a person born?")


def test_prompts_of_evaluation_are_no_negatives_of_the_gate(tmp_path: Path) -> None:
    data = folder.write(tmp_path)
    episodes = Episodes(data, cast(AddressEncoder, None), 0)
    assert "Someone 1 was born in" in episodes.locality
    assert HeldOut(data).prompts.isdisjoint(map(str.casefold, episodes.locality))
