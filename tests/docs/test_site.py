"""The site builds without a warning, needs no other place, and shows all there is to show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs_build.__main__ import committed
from docs_build.errors import ADVICE, problems
from docs_build.hooks import expanded
from service.metrics import Metrics
from service.settings import Settings
from tests.docs.commands import ROOT
from tests.docs.test_blocks import PAGES


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Page(HTMLParser):
    """What a browser loads for a page, and what it says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.loads.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "preconnect", "icon"):
            self.loads.append(given.get("href") or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_of(site: Path, page: str) -> str:
    return "".join(Page(site / page / "index.html").text)


def test_nothing_comes_from_another_place(site: Path) -> None:
    for path in site.rglob("*.html"):
        elsewhere = [load for load in Page(path).loads if re.match(r"(\w+:)?//", load)]
        assert elsewhere == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", path.read_text("utf-8")), path


def test_every_page_is_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text("utf-8")
    for path in site.rglob("index.html"):
        place = path.parent.relative_to(site).as_posix()
        assert place == "." or f'href="{place}/"' in front, place


def test_equations_and_drawings_are_in_the_page(site: Path) -> None:
    for page in ("fact", "address", "forgetting"):
        html = (site / "concepts" / page / "index.html").read_text("utf-8")
        assert "<math" in html
        assert '<figure class="drawn"><svg' in html
        assert "\\(" not in html
        assert not re.search(r"<m[ions]+>\\", html)  # a command that was not understood


def test_the_api_reference_has_every_operation(site: Path) -> None:
    text = text_of(site, "reference/api")
    spec = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    for path, item in spec["paths"].items():
        for verb in item:
            assert f"{verb.upper()} {path}" in text


def test_the_references_have_every_setting_metric_and_code(site: Path) -> None:
    settings = text_of(site, "reference/configuration")
    for name, field in Settings.model_fields.items():
        assert f"LARIMAR_{name.upper()}" in settings
        assert field.description, f"say beside {name} in service/settings.py what it does"
    metrics = text_of(site, "reference/metrics")
    for family in Metrics().registry.collect():
        assert family.name in metrics
    errors = text_of(site, "reference/errors")
    for problem in problems():
        assert problem.code in errors


def test_no_advice_is_for_a_code_that_is_gone() -> None:
    assert set(ADVICE) <= {problem.code for problem in problems()}


def test_the_reference_of_the_command_line_has_every_verb(site: Path) -> None:
    from cli.main import VERBS

    text = text_of(site, "reference/cli")
    for verb in VERBS:
        assert f"larimar {verb}" in text


def test_links_of_pages_outside_the_site_lead_somewhere() -> None:
    for page in PAGES:
        if (ROOT / "docs") not in page.parents:
            for link in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
                assert re.match(r"\w+:", link) or (page.parent / link).exists(), (page, link)


def test_what_is_committed_is_current() -> None:
    for path, text in committed().items():
        assert path.read_text("utf-8") == text, "run python -m docs_build"


def test_a_folder_in_the_navigation_is_the_rest_of_it() -> None:
    nav = ["index.md", {"More": ["a/first.md", "a/*"]}, "*"]
    uris = ["a/deep/x.md", "a/first.md", "a/picture.png", "a/second.md", "b.md", "index.md"]
    assert expanded(nav, uris) == ["index.md", {"More": ["a/first.md", "a/second.md"]}, "b.md"]
