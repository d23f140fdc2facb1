"""Result files (JSON, with command, revision and date) and the Markdown made from them.

The README gets what a reader looks for first, one row a share; docs/quality.md gets everything,
the other editors in one table.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.metrics import Share
from evaluation.result import Result

Body = dict[str, Any]  # a result file
DETAILS = (", clean", ", in scope", "S, ", "M, ")  # shares that only docs/quality.md shows
COMPARED = ("edit", "edit, clean", "paraphrase", "neighbours equal base")


def write(result: Result, out: Path, command: str, seconds: float) -> str:
    """Writes `out`/SUITE.json and SUITE.md, and returns the Markdown table."""
    out.mkdir(parents=True, exist_ok=True)
    body = {
        "suite": result.suite,
        "facts": result.facts,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "revision": revision(),
        "seconds": round(seconds),
        "shares": {name: dataclasses.asdict(s) for name, s in result.shares.items()},
        "figures": {name: round(value, 5) for name, value in result.figures.items()},
        "misses": result.misses,
    }
    text = json.dumps(body, indent=1, ensure_ascii=False)
    (out / f"{result.suite}.json").write_text(text + "\n", "utf-8")
    (out / f"{result.suite}.md").write_text(f"{table(body)}\n\n{made(body)}\n", "utf-8")
    return table(body)


def read(folder: Path) -> list[Body]:
    """The result files of a folder, by name; base answers may lie there too (api.BaseCache)."""
    bodies = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return [body for body in bodies if "suite" in body]


def editors(folder: Path) -> list[Body]:
    """The results of editors in a folder: by name, many edits together before few."""
    return sorted(read(folder), key=lambda body: (editor(body), -body["facts"]))


def editor(body: Body) -> str:
    """Whose result it is."""
    return str(body["suite"].rpartition("-")[0])


def table(body: Body) -> str:
    """Everything that one suite found."""
    rows = [f"| {name} | {_cells(share)} |" for name, share in body["shares"].items()]
    rows += [f"| {name} | {value:.4g} | | |" for name, value in body.get("figures", {}).items()]
    head = f"| {body['suite']}, {body['facts']} facts in one tenant | share | 95 % interval | N |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def made(body: Body) -> str:
    return f"`{body['command']}`, revision {body['revision']}, {body['date']}."


def headline(bodies: Sequence[Body]) -> str:
    """One table of all suites, without the details."""
    rows = [f"| {body['suite']} | {body['facts']} | {name} | {_cells(share)} |"
            for body in bodies for name, share in headlines(body).items()]  # fmt: skip
    head = "| suite | facts in one tenant | | share | 95 % interval | N |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def headlines(body: Body) -> dict[str, Any]:
    """The shares that a reader looks for first."""
    return {name: share for name, share in body["shares"].items()
            if not any(detail in name for detail in DETAILS)}  # fmt: skip


def comparison(bodies: Sequence[Body]) -> str:
    """One table of editors: a row for each number of edits that were together."""
    rows = []
    for body in bodies:
        shares = [body["shares"].get(name) for name in COMPARED]
        cells = [cell(share) for share in shares]
        seconds = f"{body['figures']['seconds per edit']:.2g}"
        facts = str(body["facts"])
        rows.append(" | ".join([f"| {editor(body)}", facts, *cells, seconds, body["revision"]]))
    head = " | ".join(["| editor", "edits together", *COMPARED, "s an edit", "revision |"])
    return "\n".join([head, "|---" * (len(COMPARED) + 4) + "|", *(f"{row} |" for row in rows)])


def cell(share: Body | None) -> str:
    """A share with its interval and N; nothing where there is none."""
    if not share:
        return ""
    return f"{share['value']:.2f} [{share['low']:.2f}, {share['high']:.2f}] ({share['n']})"


def grid(rows: Sequence[Body]) -> str:
    """A table of rows that have the same columns."""
    cells = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(share: Body | Share) -> str:
    s = share if isinstance(share, Share) else Share(**share)
    return f"{s.value:.3f} | {s.low:.3f}-{s.high:.3f} | {s.n}"


def revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() or "unknown"
