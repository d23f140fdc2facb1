"""Results as JSON (with revision and date) and as a Markdown table."""

from __future__ import annotations

import dataclasses
import datetime
import json
import subprocess
from pathlib import Path

from evaluation.result import Result


def write(result: Result, out: Path, command: str, seconds: float) -> str:
    """Writes `out`/SUITE.json and returns the Markdown table."""
    out.mkdir(parents=True, exist_ok=True)
    body = {
        "suite": result.suite,
        "facts": result.facts,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "revision": _revision(),
        "seconds": round(seconds),
        "shares": {name: dataclasses.asdict(s) for name, s in result.shares.items()},
        "figures": {name: round(value, 5) for name, value in result.figures.items()},
        "misses": result.misses,
    }
    text = json.dumps(body, indent=1, ensure_ascii=False)
    (out / f"{result.suite}.json").write_text(text + "\n", "utf-8")
    return table(result)


def table(result: Result) -> str:
    rows = [f"| {name} | {s.value:.3f} | {s.low:.3f}-{s.high:.3f} | {s.n} |"
            for name, s in result.shares.items()]  # fmt: skip
    rows += [f"| {name} | {value:.4g} | | |" for name, value in result.figures.items()]
    head = f"| {result.suite}, {result.facts} facts in one tenant | share | 95 % interval | N |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() or "unknown"
