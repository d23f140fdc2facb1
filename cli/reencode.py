"""`larimar reencode`: bring memories under a new checkpoint, from the facts' stored texts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.http import DEFAULT_URL, Json, Key, Url, service, show, stop
from cli.progress import progress

if TYPE_CHECKING:
    from larimar_client import ApiError
    from larimar_client.models import Reencoded

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
    as_json: Json = False,
) -> None:
    """Encode facts anew for another checkpoint. Run again, it goes on with what is left.

    \b
    Examples:
      larimar reencode
      larimar reencode acme --wait 600
      larimar reencode --json
    """
    wanted = checkpoint or _own_checkpoint()
    if not tenants:
        with service(url, key) as larimar:
            tenants = larimar.tenants().tenants
    moved: dict[str, Reencoded] = {}
    for name in tenants:
        state = _moved(url, key, name, wanted, wait)
        if state is not None:
            moved[name] = state
            if not as_json:
                typer.echo(f"{name}: {state.status}, {state.rows} rows, {state.checkpoint}")
    if as_json:
        show({name: asdict(state) for name, state in moved.items()})
    failed = [name for name in tenants if name not in moved]
    if failed:
        stop(f"not under {wanted}: {', '.join(failed)}")


def _moved(url: str, key: str | None, tenant: str, wanted: str, wait: float) -> Reencoded | None:
    """How the tenant came under the checkpoint; None, and why on standard error, if it did not."""
    from larimar_client import ApiError

    deadline = time.monotonic() + wait
    with progress(tenant) as bar:
        while True:
            found = _try(url, key, tenant, wanted, bar)
            if not isinstance(found, ApiError):
                return found
            if found.code != "other_checkpoint" or time.monotonic() > deadline:
                break
            time.sleep(PATIENCE_SECONDS)
    typer.echo(f"{tenant}: {found.code}: {found.message}", err=True)
    for detail in found.details:
        typer.echo(f"{tenant}: {detail['param']}: {detail['message']}", err=True)
    return None


def _try(
    url: str, key: str | None, tenant: str, wanted: str, bar: Callable[[int, int | None], None]
) -> Reencoded | ApiError:
    """The last state. With a connection of its own: a load balancer then chooses anew."""
    from larimar_client import ApiError
    from larimar_client.errors import UnexpectedReply

    with service(url, key) as larimar:
        try:
            for state in larimar.tenant(tenant).stream_reencode(wanted):
                bar(state.done, state.rows)
        except ApiError as exc:
            return exc
        except UnexpectedReply:
            return ApiError(0, "cut", "the connection ended early: run it again")
    return state


def _own_checkpoint() -> str:
    from service.model.checkpoint import DEFAULT, Checkpoint, CheckpointError
    from service.settings import SettingsError, load

    try:
        return Checkpoint(load().checkpoint or DEFAULT).fingerprint()
    except (CheckpointError, SettingsError) as exc:
        stop(f"{exc}: name the checkpoint with --checkpoint")
