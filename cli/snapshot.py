"""`larimar snapshot export | import`: a tenant as one file, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import typer

from cli.http import DEFAULT_URL, Key, Tenant, Url, connected, stop

app = typer.Typer(add_completion=False, help="A tenant as one file.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A file in safetensors.")]


@app.command("export")
def export_snapshot(
    file: File, tenant: Tenant = "default", url: Url = DEFAULT_URL, key: Key = None
) -> None:
    """Write everything a tenant holds into a file; one that exists is kept."""
    part = file.with_name(file.name + ".part")
    if file.exists():
        stop(f"{file} exists already")
    with (
        connected(url, key) as client,
        client.stream("GET", f"/v1/tenants/{tenant}/snapshot", timeout=None) as response,
    ):
        if response.is_error:
            response.read()
            response.raise_for_status()
        with part.open("wb") as out:
            for piece in response.iter_bytes():
                out.write(piece)
    part.rename(file)  # a cut download never has the name of a whole one
    typer.echo(f"{file}: {file.stat().st_size} bytes")


@app.command("import")
def import_snapshot(
    file: File, tenant: Tenant = "default", url: Url = DEFAULT_URL, key: Key = None
) -> None:
    """Replace everything a tenant holds by a file, whole or not at all."""
    if not file.is_file():
        stop(f"{file} cannot be read")
    with connected(url, key) as client, file.open("rb") as body:
        path = f"/v1/tenants/{tenant}/snapshot"
        size = {"Content-Length": str(file.stat().st_size)}
        response: httpx.Response = client.put(path, content=body, headers=size, timeout=None)
        response.raise_for_status()
    reply = response.json()
    typer.echo(f"{reply['facts']} facts, version {reply['version']}")
