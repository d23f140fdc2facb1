"""`python -m docs_build`: renews what is committed: the drawings and the README's benchmarks."""

from __future__ import annotations

from pathlib import Path

from docs_build import benchmarks, drawings
from evaluation.__main__ import refreshed

README = Path(__file__).parent.parent / "README.md"


def committed() -> dict[Path, str]:
    """File → what it should hold."""
    highlights = {"benchmarks": benchmarks.highlights()}
    return drawings.drawings() | {README: refreshed(README.read_text("utf-8"), highlights)}


if __name__ == "__main__":
    for path, text in committed().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
