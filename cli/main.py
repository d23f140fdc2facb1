"""`larimar VERB`: a verb's module is imported only when it is asked for.

A verb is a Typer application of its own. Its module imports nothing heavy at the top, for
`larimar --help` imports them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# verb → module:application
VERBS: dict[str, str] = {
    "serve": "cli.serve:app",
    "demo": "cli.demo:app",
    "write": "cli.facts:write_app",
    "ask": "cli.facts:ask_app",
    "forget": "cli.facts:forget_app",
    "facts": "cli.facts:facts_app",
    "documents": "cli.documents:app",
    "snapshot": "cli.snapshot:app",
    "tenants": "cli.tenants:app",
    "reencode": "cli.reencode:app",
    "keys": "cli.keys:app",
    "audit": "cli.audit:app",
    "verify-receipt": "cli.receipts:app",
    "config": "cli.config:app",
    "train": "cli.train:app",
    "eval": "cli.evaluate:app",
    "bench": "cli.bench:app",
}


class LazyGroup(TyperGroup):
    """A group whose verbs come from the table."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].partition(":")
        command = typer.main.get_command(getattr(import_module(module), attribute))
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def larimar() -> None:
    """Edit what a language model knows, while it runs."""


if __name__ == "__main__":
    app()
