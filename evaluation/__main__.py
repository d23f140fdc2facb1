"""`python -m evaluation`: puts the committed results' tables into the README."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from evaluation import report
from evaluation.metrics import Share
from evaluation.result import Result

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SECTION = re.compile(r"(<!-- results -->\n).*?(<!-- end of results -->)", re.DOTALL)


def tables() -> str:
    """One table a result file, with the command and revision that made it."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return "\n\n".join(_table(body) for body in found) + "\n"


def _table(body: dict[str, Any]) -> str:
    result = Result(body["suite"], body["facts"])
    result.shares = {name: Share(**values) for name, values in body["shares"].items()}
    result.figures = body.get("figures", {})
    made = f"`{body['command']}`, revision {body['revision']}, {body['date']}."
    return f"{report.table(result)}\n\n{made}"


def refreshed(readme: str) -> str:
    return SECTION.sub(lambda match: f"{match[1]}{tables()}{match[2]}", readme)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(refreshed(readme.read_text("utf-8")), "utf-8")
