"""`larimar snapshot export | import`: a tenant as one file, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.http import DEFAULT_URL, Json, Key, Tenant, Url, service, show, stop
from cli.progress import progress

app = typer.Typer(add_completion=False, help="A tenant as one file.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A file in safetensors.")]


@app.command("export")
def export_snapshot(
    file: File,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Write everything a tenant holds into a file; one that exists is kept.

    \b
    Example:
      larimar snapshot export acme.safetensors --tenant acme
    """
    part = file.with_name(file.name + ".part")
    if file.exists():
        stop(f"{file} exists already")
    size = 0
    try:
        with (
            service(url, key) as larimar,
            progress("Bytes") as bar,
            part.open("wb") as out,
        ):
            for piece in larimar.tenant(tenant).snapshot():
                size += out.write(piece)
                bar(size, None)
        part.rename(file)  # a cut download never has the name of a whole one
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        return show({"file": str(file), "bytes": size})
    typer.echo(f"{file}: {size} bytes")


@app.command("import")
def import_snapshot(
    file: File,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Replace everything a tenant holds by a file, whole or not at all.

    \b
    Example:
      larimar snapshot import acme.safetensors --tenant acme-copy
    """
    if not file.is_file():
        stop(f"{file} cannot be read")
    with service(url, key) as larimar:
        reply = larimar.tenant(tenant).restore(file)
    if as_json:
        return show(asdict(reply))
    typer.echo(f"{reply.facts} facts, version {reply.version}")
