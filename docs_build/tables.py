"""Tables in Markdown, the same on every generated page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows under a head; a cell may hold Markdown, never a line break or a bare pipe."""
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def code(value: object) -> str:
    """As code, even where it holds a backtick."""
    text = str(value)
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _line(cells: Sequence[object]) -> str:
    texts = [str(cell).replace("\n", " ").replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(texts)} |"
