"""The reference of the command line, from the verbs themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from cli.main import app
from docs_build.tables import code, table


def page() -> str:
    group: Any = typer.main.get_command(app)
    context = group.make_context("larimar", [], resilient_parsing=True)
    parts = [_verb(f"larimar {name}", group.get_command(context, name), 2)
             for name in group.list_commands(context)]  # fmt: skip
    return "\n".join("\n".join(part) for part in parts)


def _verb(name: str, command: Any, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    yield f"{command.help or ''}\n"
    if hasattr(command, "commands"):
        for verb, sub in command.commands.items():
            yield from _verb(f"{name} {verb}", sub, level + 1)
        return
    rows = [[_names(p), _default(p), getattr(p, "help", None) or ""] for p in command.params
            if p.name != "help"]  # fmt: skip
    if rows:
        yield table(("argument or option", "default", "about"), rows)


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        name = (param.name or "").upper().replace("_", "-")
        return code(name if param.required else f"[{name}]")
    return ", ".join(map(code, [*param.opts, *param.secondary_opts]))


def _default(param: Any) -> str:
    shown = param.default not in (None, False, "", ()) and not callable(param.default)
    parts = [code(param.default)] if shown and getattr(param, "show_default", True) else []
    if isinstance(param.envvar, str):
        parts.append(code(f"${param.envvar}"))
    return " or ".join(parts)
