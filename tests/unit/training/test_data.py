"""What evaluation asks about is in no training set; what the gate's lessons are made of."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

from evaluation.suites import application, around
from service.model.address import AddressEncoder
from tests.unit.training import folder
from training import held_out, synthetic, wordings
from training.data import Ask, Edit, HeldOut, Relations, stems
from training.lessons import Episodes


def test_edits_that_name_a_subject_of_evaluation_are_left_out(tmp_path: Path) -> None:
    relations = Relations(folder.write(tmp_path))
    told = [case["edit"] for case in relations.pokemqa]
    assert told == ["Ada Ash lives in Rome", "Cy Cole lives in New York"]


def test_the_object_of_an_edit_is_what_its_relation_does_not_say(tmp_path: Path) -> None:
    assert Relations(folder.write(tmp_path)).edit_asks == [
        Ask("Ada Ash lives in", "Rome", "Where does Ada Ash live?"),
        Ask("Cy Cole lives in", "New York", "Where does Cy Cole live?"),
    ]


def test_a_namesake_is_another_subject_of_the_relation_with_a_word_of_the_name(
    tmp_path: Path,
) -> None:
    relations, rng = Relations(folder.write(tmp_path)), random.Random(0)
    relations.subjects["P19"] += ["Windows 7", "Windows 95", "Linux"]
    assert relations.namesake("P19", "Windows 7", rng) == "Windows 95"
    assert relations.namesake("P19", "Linux", rng) is None


def test_a_name_is_found_as_whole_words(tmp_path: Path) -> None:
    held = HeldOut(folder.write(tmp_path))
    assert held.named("Where was person 3 (born 1990)?")
    assert not held.named("Where were person 33 and a person born?")


def test_prompts_of_evaluation_are_no_negatives_of_the_gate(tmp_path: Path) -> None:
    data = folder.write(tmp_path)
    episodes = Episodes(data, cast(AddressEncoder, None), 0)
    assert "Someone 1 was born in" in episodes.locality
    assert HeldOut(data).prompts.isdisjoint(map(str.casefold, episodes.locality))


def test_an_edit_of_pokemqa_is_about_what_all_its_questions_name() -> None:
    questions = ["Who wrote Animal Farm?", "Which author is Animal Farm by?"]
    found = Edit.of("The author of Animal Farm is Hilary Mantel", questions)
    assert found is not None
    assert found.subject == "Animal Farm"
    assert found.wordings == ("Who wrote {}?", "Which author is {} by?")
    assert found.questions == questions


def test_an_edit_whose_questions_name_nothing_is_left_out() -> None:
    assert Edit.of("The author of Animal Farm is Hilary Mantel", ["Who wrote it?"]) is None


def test_a_foreign_kind_shares_no_word_with_the_relation(tmp_path: Path) -> None:
    episodes = Episodes(folder.write(tmp_path), cast(AddressEncoder, None), 0)
    ours = episodes.relations.vocabulary("P19")
    assert {"born", "origi"} <= ours
    for _ in range(50):
        forms = episodes.foreign("P19")
        assert forms is None or ours.isdisjoint(stem for form in forms for stem in stems(form))


def test_what_only_names_a_subject_is_worded_anew_in_training_calibration_and_suite() -> None:
    forms = [
        {form.casefold() for form in forms} for forms in (wordings.BARE, held_out.BARE, around.BARE)
    ]
    assert len(set.union(*forms)) == sum(map(len, forms))


def test_kinds_that_thresholds_are_chosen_on_are_in_no_lesson_and_in_no_suite() -> None:
    tuning = {form.casefold() for _, _, forms in synthetic.TUNING for form in forms}
    ours = {form.casefold() for _, _, forms in synthetic.KINDS for form in forms}
    theirs = {form.casefold() for _, _, forms in application.KINDS for form in forms}
    assert tuning.isdisjoint(ours)
    assert tuning.isdisjoint(theirs)
