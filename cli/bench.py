"""`larimar bench [NAME]`: the benchmarks, each a module of `benchmarks/` that can be run."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.http import stop

REST = {"allow_extra_args": True, "ignore_unknown_options": True}  # the benchmark's own
app = typer.Typer(add_completion=False, context_settings=REST)
FOLDER = Path(__file__).parents[1] / "benchmarks"


@app.command()
def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A benchmark; without it, all are listed.")]
    = None,
) -> None:  # fmt: skip
    """List the benchmarks, or run one: ratios measured in one run, never bare times.

    \b
    Examples:
      larimar bench
      larimar bench memory_speed
      larimar bench memory_speed read load

    What follows the name is the benchmark's own. Results go to benchmarks/results.
    """
    found = benchmarks()
    if name is None:
        for one, purpose in found.items():
            typer.echo(f"{one:<20} {purpose}")
        return
    if name not in found:
        stop(f"no benchmark {name!r}: one of {', '.join(found)}")
    sys.argv = [f"larimar bench {name}", *context.args]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)


def benchmarks() -> dict[str, str]:
    """Name → the first line of its docstring, of every module that runs by itself."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if '\nif __name__ == "__main__":' in source:
            doc = ast.get_docstring(ast.parse(source)) or ""
            found[path.stem] = doc.split("\n", 1)[0]
    return found
