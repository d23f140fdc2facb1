"""`larimar reencode`: bring memories under a new checkpoint, from the facts' stored texts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import typer

from cli.http import DEFAULT_URL, Key, Url, call, connected, error_of, stop

app = typer.Typer(add_completion=False)
PATIENCE_SECONDS = 1.0  # before another process behind the same address is asked for


@app.command()
def reencode(
    tenants: Annotated[
        list[str] | None, typer.Argument(help="Tenants; without any, all that the key may use.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Fingerprint of the checkpoint. Default: that of this installation."),
    ] = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a process with that checkpoint.", min=0)
    ] = 60.0,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Encode facts anew for another checkpoint. Run again, it goes on with what is left.

    \b
    Examples:
      larimar reencode
      larimar reencode acme --wait 600
    """
    wanted = checkpoint or _own_checkpoint()
    with connected(url, key) as client:
        names = tenants or call(client, "GET", "/v1/tenants")["tenants"]
        failed = [name for name in names if not _moved(client, name, wanted, wait)]
    if failed:
        stop(f"not under {wanted}: {', '.join(failed)}")


def _moved(client: httpx.Client, tenant: str, wanted: str, wait: float) -> bool:
    """Whether the tenant is under the checkpoint at the end; says what happened."""
    deadline = time.monotonic() + wait
    while True:
        error = _try(client, tenant, wanted)
        if error is None:
            return True
        if error["code"] != "other_checkpoint" or time.monotonic() > deadline:
            break
        time.sleep(PATIENCE_SECONDS)
    typer.echo(f"{tenant}: {error['code']}: {error['message']}", err=True)
    for detail in error.get("details", ()):
        typer.echo(f"{tenant}: {detail['param']}: {detail['message']}", err=True)
    return False


def _try(client: httpx.Client, tenant: str, wanted: str) -> dict[str, Any] | None:
    """None once it is done, else the error."""
    # A connection of its own: a load balancer then chooses anew.
    headers = {"Accept": "text/event-stream", "Connection": "close"}
    path, body = f"/v1/tenants/{tenant}/reencode", {"checkpoint": wanted}
    with client.stream("POST", path, json=body, headers=headers, timeout=None) as response:
        if response.is_error:
            response.read()
            return error_of(response)
        for name, data in _events(response):
            if name == "error":
                error: dict[str, Any] = data["error"]
                return error
            if name == "progress":
                typer.echo(f"{tenant}: {data['done']} of {data['rows']}", err=True)
            if name == "done":
                typer.echo(f"{tenant}: {data['status']}, {data['rows']} rows, {wanted}")
                return None
    return {"code": "cut", "message": "the connection ended early: run it again"}


def _events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _own_checkpoint() -> str:
    from service.model.checkpoint import DEFAULT, Checkpoint, CheckpointError
    from service.settings import SettingsError, load

    try:
        return Checkpoint(load().checkpoint or DEFAULT).fingerprint()
    except (CheckpointError, SettingsError) as exc:
        stop(f"{exc}: name the checkpoint with --checkpoint")
