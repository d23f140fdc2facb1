"""The benchmark page: every file of benchmarks/results as tables, and as bars where it has ratios.

Result files are JSON of whatever shape fits the measurement. Read here: `command`, `revision`,
`date`, `machine` and other plain values at the top as the conditions; below them, a table for each
object or list of objects. A column named `a/b` is a ratio of one run and is drawn.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_build.svg import Sheet
from docs_build.tables import code, table

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
        "memory_proofs",
        ("kill -9 of writer and Valkey",),
        "`kill -9` of the writer and of Valkey at random moments: acknowledged facts lost",
        "0 of {0[facts]:,} in {0[rounds]} rounds",
    ),
    Highlight(
        "memory_proofs",
        ("random changes, compared with the survivors", "changes"),
        "random writes and forgets, then compared with a memory of the survivors alone",
        "equal after {:,} changes",
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
    """The README's table; a figure whose file or place is missing is left out."""
    rows = [(one.claim, f"**{one.form.format(value)}**")
            for one in HIGHLIGHTS if (value := _found(one)) is not None]  # fmt: skip
    return table(("measured", "figure"), rows)


def _found(one: Highlight) -> Any:
    path = RESULTS / f"{one.file}.json"
    value: Any = json.loads(path.read_text("utf-8")) if path.exists() else None
    for step in one.path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _title(path: Path) -> str:
    words = path.stem.replace("_", " ")
    return words[:1].upper() + words[1:]


def _file(path: Path) -> Iterator[str]:
    body: dict[str, Any] = json.loads(path.read_text("utf-8"))
    plain = {k: v for k, v in body.items() if not isinstance(v, dict | list)}
    yield "; ".join(f"{key} {code(_cell(value))}" for key, value in plain.items()) + ".\n"
    for key, value in body.items():
        if key not in plain:
            yield from _section(key, value)


def _section(key: str, value: Any) -> Iterator[str]:
    rows = _rows(value)
    if not rows:
        return
    yield f"**{key}**\n"
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield table(columns, [[_cell(row.get(name, "")) for name in columns] for row in rows])
    ratios = [name for name in columns if "/" in name and len(rows) > 1]
    if ratios:
        yield bars(key, rows, columns[0], ratios)


def _rows(value: Any) -> list[Mapping[str, Any]]:
    """Anything as rows of a table."""
    if isinstance(value, list):
        return [row if isinstance(row, dict) else {"": row} for row in value]
    rows = [row for row in value.values() if isinstance(row, dict)]
    if not rows or len(rows) < len(value):
        return [value] if value else []
    if len({name for row in rows for name in row}) == sum(map(len, rows)) > len(rows[0]):
        # nothing in common: one below the other
        return [{"of": of, "": name, "value": cell}
                for of, row in value.items() for name, cell in row.items()]  # fmt: skip
    return [{"": name, **row} for name, row in value.items()]


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
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
