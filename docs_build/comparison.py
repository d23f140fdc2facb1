"""The table and the picture of editors beside this service, from evaluation/results."""

from __future__ import annotations

import json

from docs_build.svg import Sheet
from docs_build.tables import table
from evaluation.__main__ import RESULTS, ROOT
from evaluation.report import COMPARED, Body, cell, editor, editors, read

OURS = "this service"
WRITES = ROOT / "benchmarks" / "results" / "generation_writes.json"


def page() -> str:
    bodies = _bodies()
    rows = [[_bold(name, name), facts, *[cell(body["shares"].get(c)) for c in COMPARED],
             _seconds(name, body), body["revision"]] for name, facts, body in bodies]  # fmt: skip
    head = ("editor", "edits together", *COMPARED, "seconds an edit", "revision")
    return table(head, rows) + "\n" + _picture(bodies)


def _bodies() -> list[tuple[str, int, Body]]:
    """(editor, edits together, result), this service first, the many before the single."""
    found = [
        (OURS, body["facts"], body) for body in read(RESULTS) if body["suite"] == "counterfact"
    ]
    others = editors(RESULTS / "baselines")
    return found + [(editor(body), body["facts"], body) for body in others]


def _seconds(name: str, body: Body) -> str:
    """An editor's as its result says; ours of a durable write (benchmarks/generation.py)."""
    if name == OURS:
        seconds = json.loads(WRITES.read_text("utf-8"))["one durable write, ms"] / 1000
    else:
        seconds = body.get("figures", {}).get("seconds per edit")
    return "" if seconds is None else f"{seconds:.2g}"


def _bold(name: str, text: str) -> str:
    return f"**{text}**" if name == OURS else text


def _picture(bodies: list[tuple[str, int, Body]]) -> str:
    """Three bars an editor: what it should say, in other words, and what it should leave alone."""
    shown = ("edit, clean", "paraphrase", "neighbours equal base")
    s = Sheet("editors", "Editors by three shares", 720, 40 + 52 * len(bodies))
    for i, (name, colour) in enumerate(zip(shown, ("a", "b", "c"), strict=True)):
        s.bar(200 + 160 * i, 6, 12, 12, colour)
        s.text(218 + 160 * i, 17, name, "small", "start")
    for i, (name, facts, body) in enumerate(bodies):
        y = 36 + 52 * i
        s.text(190, y + 19, f"{name}, {facts}", "bold" if name == OURS else "", "end")
        for j, (share, colour) in enumerate(zip(shown, ("a", "b", "c"), strict=True)):
            value = body["shares"].get(share, {}).get("value", 0.0)
            s.bar(200, y + 14 * j, 440 * value, 11, colour)
            s.text(206 + 440 * value, y + 14 * j + 10, f"{value:.2f}", "small", "start")
    return s.inline()
