"""`larimar tenants create | list | show | delete`, over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.http import DEFAULT_URL, Json, Key, Url, call, connected, show

app = typer.Typer(add_completion=False, help="Make, show and erase tenants.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The tenant's name: a-z, 0-9, _ and -.")]


@app.command()
def create(
    name: Name,
    policy: Annotated[str | None, typer.Option(help="grow (a row per fact) or fixed.")] = None,
    quota_facts: Annotated[int | None, typer.Option(help="Facts at most.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a tenant, or change its quota.

    \b
    Examples:
      larimar tenants create acme
      larimar tenants create acme --quota-facts 5000
    """
    body = {"policy": policy, "quota": {"facts": quota_facts}}
    with connected(url, key) as client:
        reply = call(client, "PUT", f"/v1/tenants/{name}", body)
    if as_json:
        return show(reply)
    typer.echo(f"{name}: policy {reply['policy']}, at most {reply['quota']['facts']} facts")


@app.command("list")
def list_tenants(url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """The tenants that the key may use.

    \b
    Example:
      larimar tenants list
    """
    with connected(url, key) as client:
        reply = call(client, "GET", "/v1/tenants")
    if as_json:
        return show(reply)
    for name in reply["tenants"]:
        typer.echo(name)


@app.command("show")
def show_tenant(name: Name, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Policy, quota, counts, bytes and version, as JSON.

    \b
    Example:
      larimar tenants show acme
    """
    with connected(url, key) as client:
        show(call(client, "GET", f"/v1/tenants/{name}"))


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Erase a tenant and everything in it.

    \b
    Examples:
      larimar tenants delete acme
      larimar tenants delete acme --yes
    """
    if not yes:
        typer.confirm(f"Erase tenant {name} and everything in it?", abort=True)
    with connected(url, key) as client:
        call(client, "DELETE", f"/v1/tenants/{name}")
    typer.echo(f"erased {name}")
