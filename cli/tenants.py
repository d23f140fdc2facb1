"""`larimar tenants create | list | show | delete`, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.http import DEFAULT_URL, Json, Key, Url, service, show

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
    chosen: Any = policy  # the service says which there are
    with service(url, key) as larimar:
        quota: Any = None if quota_facts is None else {"facts": quota_facts}
        reply = larimar.put_tenant(name, policy=chosen, quota=quota)
    if as_json:
        return show(asdict(reply))
    typer.echo(f"{name}: policy {reply.policy}, at most {reply.quota.facts} facts")


@app.command("list")
def list_tenants(url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False) -> None:
    """The tenants that the key may use.

    \b
    Example:
      larimar tenants list
    """
    with service(url, key) as larimar:
        reply = larimar.tenants()
    if as_json:
        return show(asdict(reply))
    for name in reply.tenants:
        typer.echo(name)


@app.command("show")
def show_tenant(name: Name, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Policy, quota, counts, bytes and version, as JSON.

    \b
    Example:
      larimar tenants show acme
    """
    with service(url, key) as larimar:
        show(asdict(larimar.tenant(name).info()))


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
    with service(url, key) as larimar:
        larimar.delete_tenant(name)
    typer.echo(f"erased {name}")
