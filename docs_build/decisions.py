"""The index of docs/adr: every decision by its number and title."""

from __future__ import annotations

import re

from docs_build.drawings import FOLDER
from docs_build.tables import table

ADR = FOLDER.parent / "adr"


def page() -> str:
    rows = []
    for path in sorted(ADR.glob("[0-9]*.md")):
        heading = path.read_text("utf-8").partition("\n")[0]
        title = re.sub(r"^#\s*(ADR\s*)?\d+\W+", "", heading)
        rows.append((f"[{path.name[:4]}]({path.name})", title))
    return table(("", "decision"), rows)
