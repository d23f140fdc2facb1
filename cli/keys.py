"""`larimar keys create | list | rotate | revoke`, over HTTP."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from cli.http import DEFAULT_URL, Json, Key, Url, call, connected, show

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
    body = {
        "tenants": "*" if tenant == ["*"] else tenant,
        "scopes": scope,
        "expires_at": None if days is None else time.time() + days * 86400,
    }
    with connected(url, key) as client:
        _new(call(client, "POST", "/v1/keys", body), as_json)


@app.command("list")
def list_keys(url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """Keys by id, with what they may do and when they were last used.

    \b
    Example:
      larimar keys list --json
    """
    with connected(url, key) as client:
        reply = call(client, "GET", "/v1/keys")
    if as_json:
        return show(reply)
    for one in reply["keys"]:
        tenants = one["tenants"] if one["tenants"] == "*" else ",".join(one["tenants"])
        used = _when(one["last_used_at"]) if one["last_used_at"] else "never used"
        typer.echo(f"{one['id']}  {tenants}  {','.join(one['scopes'])}  {used}")


@app.command()
def rotate(id: Id, url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """A new secret for the same id; the old one stops within a second.

    \b
    Example:
      larimar keys rotate 3f2a91bc
    """
    with connected(url, key) as client:
        _new(call(client, "POST", f"/v1/keys/{id}/rotate"), as_json)


@app.command()
def revoke(id: Id, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Revoke a key, on every worker within a second.

    \b
    Example:
      larimar keys revoke 3f2a91bc
    """
    with connected(url, key) as client:
        call(client, "DELETE", f"/v1/keys/{id}")
    typer.echo(f"revoked {id}")


def _new(reply: Any, as_json: bool) -> None:
    if as_json:
        show(reply)
    else:
        typer.echo(reply["key"])


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
