"""`larimar reencode`: bring memories under a new checkpoint, from the facts' stored texts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.http import DEFAULT_URL, Key, Url, service, stop

if TYPE_CHECKING:
    from larimar_client import ApiError

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
    if not tenants:
        with service(url, key) as larimar:
            tenants = larimar.tenants().tenants
    failed = [name for name in tenants if not _moved(url, key, name, wanted, wait)]
    if failed:
        stop(f"not under {wanted}: {', '.join(failed)}")


def _moved(url: str, key: str | None, tenant: str, wanted: str, wait: float) -> bool:
    """Whether the tenant is under the checkpoint at the end; says what happened."""
    deadline = time.monotonic() + wait
    while True:
        error = _try(url, key, tenant, wanted)
        if error is None:
            return True
        if error.code != "other_checkpoint" or time.monotonic() > deadline:
            break
        time.sleep(PATIENCE_SECONDS)
    typer.echo(f"{tenant}: {error.code}: {error.message}", err=True)
    for detail in error.details:
        typer.echo(f"{tenant}: {detail['param']}: {detail['message']}", err=True)
    return False


def _try(url: str, key: str | None, tenant: str, wanted: str) -> ApiError | None:
    """None once it is done. With a connection of its own: a load balancer then chooses anew."""
    from larimar_client import ApiError
    from larimar_client.errors import UnexpectedReply

    with service(url, key) as larimar:
        shown = None
        try:
            for state in larimar.tenant(tenant).stream_reencode(wanted):
                if state != shown:  # the last is told again, as done
                    typer.echo(f"{tenant}: {state.done} of {state.rows}", err=True)
                shown = state
        except ApiError as exc:
            return exc
        except UnexpectedReply:
            return ApiError(0, "cut", "the connection ended early: run it again")
    typer.echo(f"{tenant}: {state.status}, {state.rows} rows, {wanted}")
    return None


def _own_checkpoint() -> str:
    from service.model.checkpoint import DEFAULT, Checkpoint, CheckpointError
    from service.settings import SettingsError, load

    try:
        return Checkpoint(load().checkpoint or DEFAULT).fingerprint()
    except (CheckpointError, SettingsError) as exc:
        stop(f"{exc}: name the checkpoint with --checkpoint")
