"""The benchmark page: every file of benchmarks/results as tables, and as bars where it has ratios.

Result files are JSON of whatever shape fits the measurement: conditions at the top, below them
figures and objects of figures. A column named `a/b` is a ratio of one run and is drawn.
"""

from __future__ import annotations

import json
import math
import textwrap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_build.svg import Sheet
from docs_build.tables import code, table

CONDITIONS = (
    "command",
    "revision",
    "date",
    "machine",
    "device",
    "cores",
    "threads",
    "load average",
)
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


@dataclass(frozen=True)
class Highlight:
    """One line of the README's table: where the figure is, and what it says."""

    file: str
    path: tuple[str | int, ...]
    claim: str
    form: str  # a format of the figure


HIGHLIGHTS = (
    Highlight(
        "generation_speed",
        ("one client / generate alone (bar 2)",),
        "decode for one client, against transformers' `generate`",
        "{:.1f} x its tokens a second",
    ),
    Highlight(
        "generation_speed",
        ("16 clients / generate's batch (bar 1)",),
        "decode for 16 clients with memory, against a batch of 16 of `generate`",
        "{:.1f} x its tokens a second",
    ),
    Highlight(
        "generation_speed",
        (),
        "tokens a second, this service to llama.cpp on the same weights: 16 clients; one client",
        "{0[16 clients, conditioned, tokens/s]:.0f} to {0[llama.cpp][16 clients, tokens/s]:.0f}; "
        "{0[one client, tokens/s]:.0f} to {0[llama.cpp][one client, tokens/s]:.0f}",
    ),
    Highlight(
        "memory_proofs",
        ("b: kill -9 of service and Valkey",),
        "`kill -9` of the service and of Valkey at random moments: acknowledged facts lost",
        "0 of {0[facts]:,} in {0[rounds]} rounds",
    ),
    Highlight(
        "memory_proofs",
        ("h: random changes, compared with the survivors", "changes"),
        "random writes and forgets, then compared with a memory of the survivors alone",
        "equal after {:,} changes",
    ),
    Highlight(
        "memory_speed_read",
        ("reads", 2, "read_1/mv"),
        "one read of 100,000 facts, against one product with all their addresses",
        "{} x its time",
    ),
    Highlight(
        "memory_speed_read",
        ("reads", 2, "one_by_one_64/read_64"),
        "64 reads of 100,000 facts in one call, against one by one",
        "{:.1f} x faster",
    ),
    Highlight(
        "memory_speed_load",
        ("cold load", "load/get"),
        "load a tenant of 512 facts from Valkey, against a bare GET of its bytes",
        "{} x its time",
    ),
    Highlight(
        "memory_speed_update",
        ("updates", -1, "anew/batched"),
        "update the paper's memory of 64 tenants in one call, against solving each anew",
        "{} x faster",
    ),
)


def page() -> str:
    parts = [f"## {_title(path)}\n\n" + "\n".join(_file(path)) for path in files()]
    return "\n".join(parts)


def files() -> list[Path]:
    return sorted(RESULTS.glob("*.json"))


def highlights() -> str:
    """The README's table. Raises FileNotFoundError and LookupError for a figure that is not where
    it should be: a claim does not vanish unseen."""
    rows = [(one.claim, f"**{_figure(one)}**") for one in HIGHLIGHTS]
    return table(("measured", "figure"), rows)


def _figure(one: Highlight) -> str:
    value: Any = json.loads((RESULTS / f"{one.file}.json").read_text("utf-8"))
    for step in one.path:
        value = value[step]
    return one.form.format(value)


def _title(path: Path) -> str:
    words = path.stem.replace("_", " ")
    return words[:1].upper() + words[1:]


def _file(path: Path) -> Iterator[str]:
    body: dict[str, Any] = json.loads(path.read_text("utf-8"))
    given = {name: body.pop(name) for name in CONDITIONS if name in body}
    yield "; ".join(f"{name} {code(_cell(value))}" for name, value in given.items()) + ".\n"
    yield from _section("", body)


def _section(title: str, value: Any) -> Iterator[str]:
    """What was measured: rows that are alike as a table, the rest one below the other."""
    rows = _alike(value)
    plain = {} if rows else {name: one for name, one in value.items() if not _holds(one)}
    if title and (rows or plain):
        yield f"**{title}**\n"
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        yield table(columns, [[_cell(row.get(name, "")) for name in columns] for row in rows])
        ratios = [name for name in columns if _is_ratio(name)]
        yield bars(title or "Measured", rows, columns[0], ratios)
        return
    if plain:
        yield table(("", "figure"), [(name, _cell(one)) for name, one in plain.items()])
    for name, one in value.items():
        if name not in plain:
            yield from _section(f"{title}: {name}" if title else name, one)


def _holds(value: Any) -> bool:
    """Whether it is more than one figure."""
    return bool(value) and (
        isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))
    )


def _alike(value: Any) -> list[Mapping[str, Any]]:
    """Rows of one table: a list, or a dictionary of rows that have the same columns."""
    if isinstance(value, list):
        return value
    rows = list(value.values())
    if len(rows) > 1 and all(
        isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows
    ):
        return [{"": name, **row} for name, row in value.items()]
    return []


def _is_ratio(name: str) -> bool:
    return "/" in name and not name.endswith("/s")


def bars(title: str, rows: Sequence[Mapping[str, Any]], first: str, ratios: Sequence[str]) -> str:
    """Ratios as bars on a logarithmic scale, from a line at 1."""
    drawn = [
        (f"{first} {_cell(row.get(first, ''))}".strip(), name, float(row[name]))
        for row in rows
        for name in ratios
        if isinstance(row.get(name), int | float) and row[name] > 0
    ]
    if not drawn:
        return ""
    scale = 170 / max(1.0, *(abs(math.log2(value)) for *_, value in drawn))
    s = Sheet(f"bars-{zlib.crc32(title.encode())}", f"{title}: ratios", 760, 34 + 22 * len(drawn))
    for i, (label, name, value) in enumerate(drawn):
        y, length = 26 + 22 * i, scale * math.log2(value)
        s.text(270, y + 12, f"{label}, {name}", "small", "end")
        s.bar(480 + min(length, 0), y, abs(length), 15, ("a", "b", "c")[ratios.index(name) % 3])
        s.text(488 + max(length, 0), y + 12, f"{value:g}", "small", "start")
    s.line(480, 20, 480, 30 + 22 * len(drawn), "ink")
    s.text(480, 14, "1", "small")
    return s.inline()


def _cell(value: Any) -> str:
    """A value of a result file; a float as short as it says the same to three digits."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, dict | list):
        return ", ".join(map(_cell, value)) or "none"
    return textwrap.shorten(str(value), 160, placeholder=" …")
