"""`larimar keys create | list | rotate | revoke`, over HTTP."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.http import DEFAULT_URL, Json, Key, Url, service, show

if TYPE_CHECKING:
    from larimar_client.models import NewKey

app = typer.Typer(
    add_completion=False, help="Make, list, rotate and revoke keys.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(help="The key's id.")]


@app.command()
def create(
    tenant: Annotated[list[str], typer.Option("--tenant", "-t", help="Repeatable; * for all.")],
    scope: Annotated[
        list[str], typer.Option("--scope", "-s", help="read, generate, write or admin.")
    ],
    days: Annotated[float | None, typer.Option(help="Expires after so many days.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown this once.

    \b
    Examples:
      larimar keys create -t acme -s read -s generate
      larimar keys create -t '*' -s admin --days 30
    """
    scopes: Any = scope  # the service says which there are
    expires_at = None if days is None else time.time() + days * 86400
    with service(url, key) as larimar:
        names = "*" if tenant == ["*"] else tenant
        _new(larimar.create_key(names, scopes, expires_at=expires_at), as_json)


@app.command("list")
def list_keys(url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """Keys by id, with what they may do and when they were last used.

    \b
    Example:
      larimar keys list --json
    """
    with service(url, key) as larimar:
        reply = larimar.keys()
    if as_json:
        return show(asdict(reply))
    for one in reply.keys:
        used = _when(one.last_used_at) if one.last_used_at else "never used"
        typer.echo(f"{one.id}  {','.join(one.tenants)}  {','.join(one.scopes)}  {used}")


@app.command()
def rotate(id: Id, url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """A new secret for the same id; the old one stops within a second.

    \b
    Example:
      larimar keys rotate 3f2a91bc
    """
    with service(url, key) as larimar:
        _new(larimar.rotate_key(id), as_json)


@app.command()
def revoke(id: Id, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Revoke a key, on every worker within a second.

    \b
    Example:
      larimar keys revoke 3f2a91bc
    """
    with service(url, key) as larimar:
        larimar.delete_key(id)
    typer.echo(f"revoked {id}")


def _new(made: NewKey, as_json: bool) -> None:
    if as_json:
        show(asdict(made))
    else:
        typer.echo(made.key)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
