"""Facts from a file, each with the place that it came from, so that an error names its line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast

from larimar_client import FactInput

COLUMNS = ("prompt", "target", "text", "id", "ttl_seconds", "metadata")
OF_SERVICE = ("kind", "document_id", "created_at", "expires_at")  # in a listing, not to be given
MOST_TOLD = 20


class Placed(NamedTuple):
    """A fact and the line that it begins on, from 1."""

    line: int
    fact: FactInput


class FileRefused(Exception):
    """What is wrong, one line each."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - MOST_TOLD
        told = [*problems[:MOST_TOLD], f"and {more} lines more"] if more > 0 else problems
        super().__init__("\n".join(told))


def read_facts(path: Path) -> list[Placed]:
    """The facts of a `.csv` with a head, or of JSON lines (`-`: standard input).

    Raises FileRefused; nothing of the file is used then.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise FileRefused([f"{path} cannot be read: {exc}"]) from None
    parse = _csv if path.suffix.lower() == ".csv" else _json_lines
    facts, problems = list[Placed](), list[str]()
    for line, found in parse(text):
        if isinstance(found, str):
            problems.append(f"{path} line {line}: {found}")
        else:
            facts.append(Placed(line, found))
    if problems or not facts:
        raise FileRefused(problems or [f"{path} holds no facts"])
    return facts


def _json_lines(text: str) -> Iterator[tuple[int, FactInput | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _json_fact(line)


def _json_fact(line: str) -> FactInput | str:
    try:
        fact: Any = json.loads(line)
    except ValueError:
        return "is not JSON"
    if not isinstance(fact, dict):
        return 'is not an object like {"prompt": …, "target": …}'
    if fact.get("kind", "fact") != "fact":
        return f"is a {fact['kind']}, not a fact: `larimar snapshot` copies whole tenants"
    kept = {k: v for k, v in fact.items() if k not in OF_SERVICE and v is not None}
    return FactInput(**kept)  # type: ignore[typeddict-item]


def _csv(text: str) -> Iterator[tuple[int, FactInput | str]]:
    rows = csv.DictReader(StringIO(text, newline=""), restkey="")
    names = rows.fieldnames or ()
    if unknown := [name for name in names if name not in COLUMNS]:
        yield 1, f"no column {unknown[0]!r}: the head names columns of {', '.join(COLUMNS)}"
        return
    began = 2
    for row in rows:
        yield began, _csv_fact(row)
        began = rows.line_num + 1


def _csv_fact(row: dict[str, Any]) -> FactInput | str:
    if "" in row:
        return "has more fields than the head"
    fact: dict[str, Any] = {name: value for name, value in row.items() if value}
    try:
        if "ttl_seconds" in fact:
            fact["ttl_seconds"] = float(fact["ttl_seconds"])
        if "metadata" in fact:
            fact["metadata"] = json.loads(fact["metadata"])
    except ValueError:
        return "ttl_seconds is a number, and metadata is JSON"
    return cast(FactInput, fact)
