"""Every promise of the threat model names the tests that show it, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)}


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(TEXT)
    assert len(named) > 40
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []


def test_every_promise_is_shown_and_every_part_says_what_is_not_done() -> None:
    parts = TEXT.split("\n## ")[1:]
    for part in parts:
        promises = re.split(r"\n- ", part.split("\nNot done: ")[0])[1:]
        assert promises, part[:40]
        assert [promise for promise in promises if not NAMED.search(promise)] == []
        assert "\nNot done: " in part, part[:40]
    titles = " ".join(part.splitlines()[0].lower() for part in parts)
    for topic in ("tenants", "keys", "poisoned", "injection", "timing", "snapshots", "supply"):
        assert topic in titles
