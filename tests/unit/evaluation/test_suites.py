"""Every suite over HTTP, against a service whose answers can be computed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from evaluation.api import Tenant, tenant
from evaluation.cases import Case, Linked
from evaluation.suites import SUITES
from evaluation.suites.around import BARE, difference, stored
from memory_store.embedded import EmbeddedValkey
from service.engine.fake import FakeEngine
from tests.api.running import ADMIN_KEY, listening, settings
from tests.unit.evaluation.folder import write
from training import wordings

# what the fake engine must get right: it answers a stored cue with its target, and `unknown` to
# what is suppressed; it is the base model elsewhere
EXPECTED: dict[str, dict[str, float]] = {
    "single": {"edit": 1.0, "neighbours equal base": 1.0},
    "counterfact": {"edit": 1.0, "edit, clean": 1.0, "neighbours equal base": 1.0, "S, edit": 1.0},
    "zsre": {"edit": 1.0, "unrelated questions equal base": 1.0},
    "statements": {"edit, in scope": 1.0, "neighbours equal base": 1.0},
    "same-subject": {
        "edit": 1.0,
        "other relation equals base": 1.0,
        "bare subject equals base": 1.0,
    },
    "alias": {"alias": 1.0, "alias, memory always": 1.0},
    "portability": {"one hop": 0.0},
    "application": {"edit": 1.0},
    "sequential": {"edit": 1.0},
    "updates": {"last of 5 rewrites": 1.0},
    "forgetting": {
        "retained: generation unchanged": 1.0,
        "erased, cue: score equals base": 1.0,
        "erased, paraphrase: score equals base": 1.0,
        "erased, cue, memory auto: score as if never written": 1.0,
        "erased, paraphrase, memory auto: score as if never written": 1.0,
        "erased, cue, memory always: score as if never written": 1.0,
        "erased, paraphrase, memory always: score as if never written": 1.0,
        "all erased, cue, memory always: score equals base": 1.0,
    },
    "leakage": {
        "suppressed leaks": 0.0,
        "neighbours equal base": 1.0,
        "never suppressed: no 'unknown'": 1.0,
        "'unknown' never said of others": 1.0,
    },
    "long-context": {"unrelated equal base": 1.0},
    "perplexity": {"log-probability equals base": 1.0},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    with listening(settings(valkey.start()), FakeEngine(rows=512)) as running:
        yield running.url
    valkey.stop()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_finds_what_the_engine_does(
    name: str, url: str, data: Path, tmp_path: Path
) -> None:
    with tenant(url, ADMIN_KEY, f"eval-{name}", tmp_path) as one:
        result = SUITES[name].run(one, data, 6)
    found = {key: share.value for key, share in result.shares.items() if key in EXPECTED[name]}
    assert found == EXPECTED[name]
    assert result.facts > 0


@pytest.mark.parametrize(
    ("alias", "kind"),
    [
        ("The home of GARCIA, Jose is", "same words"),
        ("The home of José M. García is", "words more or fewer"),
        ("The home of Pepe García is", "other words"),
    ],
)
def test_aliases_are_told_apart_by_their_words(alias: str, kind: str) -> None:
    assert difference(alias, "The home of José García is") == kind


def test_the_bare_prompts_are_none_of_trainings() -> None:
    assert not set(BARE) & {*wordings.BARE, *wordings.ATTRIBUTES, *wordings.YEARS}


def test_others_take_the_place_of_facts_that_are_refused(url: str) -> None:
    lengths = (5, 500, 5, 500, 5)
    cases = [Linked(Case(f"{i}", f"Fact {i} is", "x" * length, "", f"{i}", (), ()), (), (), ())
             for i, length in enumerate(lengths)]  # fmt: skip
    with tenant(url, ADMIN_KEY, "eval-refused") as one:
        result, kept = stored(one, "some", cases, 2)
        assert [linked.case.id for linked in kept] == ["0", "2"]
        assert result.figures == {"facts refused as too long": 1}
        assert stored(one, "some", cases, 9)[0].facts == 3


class Deaf(Tenant):
    """A tenant that keeps nothing, as a service that lies about its writes would."""

    def write(self, facts: Any) -> list[int]:
        return []


def test_a_service_that_keeps_nothing_gets_no_edit(url: str, data: Path) -> None:
    with tenant(url, ADMIN_KEY, "eval-deaf") as one:
        result = SUITES["counterfact"].run(Deaf(one.http, one.name), data, 6)
    assert result.shares["edit"].value == 0
    assert result.shares["neighbours equal base"].value == 1
    assert len([m for m in result.misses if "edit" in m]) == 6


def test_base_answers_are_kept_and_not_believed_where_they_differ(url: str, tmp_path: Path) -> None:
    with tenant(url, ADMIN_KEY, "eval-cache", tmp_path) as one:
        said = one.base(["Who goes there?"])
        assert list(tmp_path.glob("base-*.json"))
        again = Tenant(one.http, one.name, tmp_path)
        again.cache.texts["8 Who goes there?"] = " something stale"
        assert again.base(["Who goes there?"]) == [" something stale"]
        answers, base = again.beside_base(["Who goes there?"])
        assert [answers[0].text] == base == said


def test_facts_that_the_service_refuses_are_named_and_the_others_written(url: str) -> None:
    facts = [{"prompt": f"Fact {i} is", "target": "x" * (500 if i in (1, 3) else 5)}
             for i in range(5)]  # fmt: skip
    with tenant(url, ADMIN_KEY, "eval-long") as one:
        assert sorted(one.write(facts)) == [1, 3]
        assert [a.text for a in one.ask(["Fact 0 is", "Fact 4 is"])] == [" xxxxx", " xxxxx"]
        assert one.write(facts[1:2]) == [0]


def test_a_set_that_is_missing_is_named(url: str, tmp_path: Path) -> None:
    words = ["eval", "alias", "--data", str(tmp_path), "--url", url, "--key", ADMIN_KEY]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 1
    assert "alias: " in ended.stderr
    assert "wiki_counterfact_dev.json is missing" in ended.stderr


def test_the_verb_leaves_json_markdown_and_a_picture(url: str, data: Path, tmp_path: Path) -> None:
    words = ["eval", "updates", "--data", str(data), "--n", "3", "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, [*words, "--url", url, "--key", ADMIN_KEY])
    assert ended.exit_code == 0, ended.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"updates.json", "updates.md", "shares.png"}
    assert (tmp_path / "updates.md").read_text("utf-8").startswith("| updates, 3 facts")
