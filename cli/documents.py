"""`larimar documents add | list | forget`: long texts, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.http import DEFAULT_URL, Json, Key, Tenant, Url, service, show, stop
from cli.progress import progress

app = typer.Typer(
    add_completion=False, help="Long texts, stored sentence by sentence.", no_args_is_help=True
)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A text in UTF-8.")],
    id: Annotated[str | None, typer.Option(help="Its id; else drawn from the text.")] = None,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Store a text. Interrupted, the same command goes on where it stopped.

    \b
    Example:
      larimar documents add handbook.txt --id handbook
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        stop(f"{file} cannot be read: {exc}")
    with service(url, key) as larimar, progress(file.name) as bar:
        for state in larimar.tenant(tenant).stream_document(text, id=id):
            bar(state.chunks_done, state.chunks)
    if as_json:
        return show(asdict(state))
    typer.echo(f"{state.id}: {state.status}, {state.chunks} rows (version {state.version})")


@app.command("list")
def list_documents(
    tenant: Tenant = "default", url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False
) -> None:
    """The documents, and how far each has come.

    \b
    Example:
      larimar documents list --tenant acme
    """
    with service(url, key) as larimar:
        reply = larimar.tenant(tenant).documents()
    if as_json:
        return show(asdict(reply))
    for one in reply.documents:
        typer.echo(f"{one.id}  {one.status}  {one.chunks_done} of {one.chunks} rows")


@app.command()
def forget(
    id: Annotated[str, typer.Argument(help="The document's id.")],
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Erase a document: all its rows.

    \b
    Example:
      larimar documents forget handbook
    """
    with service(url, key) as larimar:
        reply = larimar.tenant(tenant).delete_document(id)
    if as_json:
        return show(asdict(reply))
    typer.echo(f"erased {id}: {reply.chunks} rows (version {reply.version})")
