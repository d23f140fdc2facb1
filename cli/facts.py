"""`larimar write | ask | forget`: facts, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.http import DEFAULT_URL, Json, Key, Tenant, Url, call, connected, show

write_app = typer.Typer(add_completion=False)
ask_app = typer.Typer(add_completion=False)
forget_app = typer.Typer(add_completion=False)


@write_app.command()
def write(
    prompt: Annotated[str, typer.Argument(help="The cue, or the whole fact if no target follows.")],
    target: Annotated[str | None, typer.Argument(help="What comes after the cue.")] = None,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Write a fact: larimar write "The capital of France is" Lyon"""
    fact = {"text": prompt} if target is None else {"prompt": prompt, "target": target}
    with connected(url, key) as client:
        reply = call(client, "POST", f"/v1/tenants/{tenant}/write", {"facts": [fact]})
    result = reply["results"][0]
    if as_json:
        show(reply)
    else:
        typer.echo(f"{result['status']} {result['id']} (version {reply['version']})")


@ask_app.command()
def ask(
    prompt: Annotated[str, typer.Argument(help="The prompt to continue.")],
    tenant: Tenant = "default",
    tokens: Annotated[int, typer.Option(help="Tokens at most.")] = 32,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Ask with the memory and without, side by side."""
    with connected(url, key) as client:
        replies = {memory: _generate(client, tenant, prompt, tokens, memory) for memory in MODES}
    if as_json:
        return show(replies)
    edited = replies["auto"]["results"][0]
    typer.echo(f"base    {replies['never']['results'][0]['text'].strip()}")
    typer.echo(f"edited  {edited['text'].strip()}")
    used = ", ".join(edited["fact_ids"]) if edited["in_scope"] else "no fact"
    typer.echo(f"used    {used} (confidence {edited['confidence']:.2f})")


@forget_app.command()
def forget(
    prompts: Annotated[list[str], typer.Argument(help="Cues, or ids with --id.")],
    by_id: Annotated[bool, typer.Option("--id", help="The arguments are ids.")] = False,
    suppress: Annotated[
        bool, typer.Option("--suppress", help="Suppress what the base model itself knows.")
    ] = False,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Erase facts: larimar forget "The capital of France is" """
    body = {
        "ids" if by_id else "prompts": prompts,
        "mode": "suppress" if suppress else "erase",
    }
    with connected(url, key) as client:
        reply = call(client, "POST", f"/v1/tenants/{tenant}/forget", body)
    if as_json:
        return show(reply)
    for result in reply["results"]:
        typer.echo(f"{result['status']} {result['id']}")
    if all(result["status"] == "not_found" for result in reply["results"]):
        raise typer.Exit(1)


MODES = ("never", "auto")


def _generate(client: Any, tenant: str, prompt: str, tokens: int, memory: str) -> Any:
    body = {"prompt": prompt, "max_new_tokens": tokens, "memory": memory}
    return call(client, "POST", f"/v1/tenants/{tenant}/generate", body)
