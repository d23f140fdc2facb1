"""`larimar eval SUITE`: the quality of a running service, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command("eval")
def evaluate(
    suite: Annotated[str, typer.Argument(help="counterfact")],
    data: Annotated[Path, typer.Option(help="Folder of the public sets (evaluation/cases.py).")],
    n: Annotated[int, typer.Option("--n", help="Facts, together in one tenant.")] = 200,
    url: Annotated[str, typer.Option(envvar="LARIMAR_URL")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="LARIMAR_KEY", show_default=False)] = "",
    out: Annotated[Path, typer.Option(help="Folder of the result file.")] = Path("results"),
) -> None:
    """Write facts that training never saw, ask for them, and print shares with intervals."""
    from evaluation import report
    from evaluation.api import tenant
    from evaluation.suites import SUITES

    if suite not in SUITES:
        raise typer.BadParameter(f"no suite {suite!r}: choose from {', '.join(SUITES)}")
    started = time.monotonic()
    with tenant(url, key, f"eval-{suite}") as one:
        result = SUITES[suite](one, data, n)
    command = f"larimar eval {suite} --data DIR --n {n}"
    typer.echo(report.write(result, out, command, time.monotonic() - started))
