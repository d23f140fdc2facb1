"""`larimar eval SUITE`: the quality of a running service, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from cli.http import stop

app = typer.Typer(add_completion=False)


@app.command("eval")
def evaluate(
    suite: Annotated[str, typer.Argument(help="A suite's name, or `all`.")],
    data: Annotated[Path, typer.Option(help="Folder of the public sets (evaluation/cases.py).")],
    n: Annotated[int, typer.Option("--n", help="Facts in one tenant; 0: as published.")] = 0,
    url: Annotated[str, typer.Option(envvar="LARIMAR_URL")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="LARIMAR_KEY", show_default=False)] = "",
    out: Annotated[Path, typer.Option(help="Folder of the result files.")] = Path("results"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the base model's answers between runs.")
    ] = None,
) -> None:
    """Write facts that training never saw, ask for them, and print shares with intervals.

    `out` gets SUITE.json and SUITE.md, and shares.png of all results in it (extra `eval`).

    \b
    Examples:
      larimar eval counterfact --data data --n 200
      larimar eval all --data data --out results
    """
    from evaluation import report
    from evaluation.api import tenant
    from evaluation.suites import SUITES

    if suite not in SUITES and suite != "all":
        raise typer.BadParameter(f"no suite {suite!r}: choose from all, {', '.join(SUITES)}")
    for name in SUITES if suite == "all" else [suite]:
        started, facts = time.monotonic(), n or SUITES[name].n
        try:
            with tenant(url, key, f"eval-{name}", cache) as one:
                result = SUITES[name].run(one, data, facts)
        except FileNotFoundError as exc:
            stop(f"{name}: {exc.filename} is missing (training/recipe.md lists the sets)")
        except httpx.HTTPError as exc:
            stop(f"{url} cannot be asked: {exc}")
        command = f"larimar eval {name} --data DIR --n {facts}"
        typer.echo(report.write(result, out, command, time.monotonic() - started))
    try:
        from evaluation.plots import draw
    except ModuleNotFoundError:
        typer.echo("no picture: the extra `eval` is not installed", err=True)
    else:
        draw(report.read(out), [], out / "shares.png")
