"""The console's files: served as what they are, and nothing in them needs another place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import ROOT
from tests.browser.conftest import Served

FILES = sorted((ROOT / "service/console").iterdir(), key=lambda path: path.name)
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Each would make text from a memory into markup or code.
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Function\("
)
INLINE = re.compile(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)")


@pytest.fixture
def visitor(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url) as client:
        yield client


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_served_as_what_it_is(visitor: httpx.Client, path: Path) -> None:
    reply = visitor.get(f"/console/{path.name}")
    assert reply.status_code == 200
    assert reply.content == path.read_bytes()
    assert reply.headers["content-type"].split(";")[0] == TYPES[path.suffix]
    assert reply.headers["content-security-policy"].startswith("default-src 'self';")
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_asks_elsewhere_or_makes_markup_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//(?!www\.w3\.org/2000/svg)\w+\.", text)
    assert not DANGEROUS.search(text)
    assert path.suffix != ".html" or not INLINE.search(text)


@pytest.mark.parametrize("name", ["none.js", "..%2fapp.py", "%2e%2e/app.py", "index.html/"])
def test_nothing_else_is_served(visitor: httpx.Client, name: str) -> None:
    reply = visitor.get(f"/console/{name}")
    assert reply.status_code in (404, 307)
    if reply.status_code == 404:
        assert reply.json()["error"]["code"] == "not_found"
