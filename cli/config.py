"""`larimar config`: the settings in effect, secrets masked."""

from __future__ import annotations

import json

import typer

app = typer.Typer(add_completion=False)


@app.command()
def config() -> None:
    """Print the settings in effect as JSON, secrets masked; a wrong one ends with one line.

    \b
    Example:
      LARIMAR_PORT=9000 larimar config
    """
    from cli.http import stop
    from service.settings import SettingsError, load

    try:
        settings = load()
    except SettingsError as exc:
        stop(str(exc))
    typer.echo(json.dumps(settings.model_dump(mode="json"), indent=2))
