"""`larimar serve`: the service in one process, until a signal drains it."""

from __future__ import annotations

import asyncio
import shlex
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop

from cli.http import stop

if TYPE_CHECKING:
    from service.engine.protocol import Engine
    from service.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the embedded Valkey and the admin key.")
    ] = None,
) -> None:
    """Run the service, with an embedded Valkey unless LARIMAR_REDIS_URL is set.

    \b
    Examples:
      larimar serve
      larimar serve --port 9000 --data-dir ~/memories
      LARIMAR_REDIS_URL=redis://db:6379 LARIMAR_ADMIN_KEY_FILE=admin.key larimar serve
    """
    run(host=host, port=port, data_dir=data_dir)


def run(engine: Engine | None = None, **overrides: object) -> None:
    """Serve until a signal. What keeps it from starting ends the command with one line."""
    from memory_store.errors import StoreError
    from service import logs
    from service.settings import SettingsError, load

    try:
        settings = load(**overrides)
        logs.configure(settings)
        sock = listen(settings.host, settings.port)
        socks = [sock]
        if settings.metrics_port is not None:
            socks.append(listen(settings.host, settings.metrics_port))
        from service import server  # PyTorch, seconds: only once all else is well

        ready = partial(announce, settings, sock.getsockname()[1])
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            well = runner.run(server.serve(settings, socks, ready, engine))
    except (SettingsError, StoreError) as exc:
        stop(str(exc))
    if not well:
        raise typer.Exit(1)


def listen(host: str, port: int) -> socket.socket:
    """The bound socket. A port that is taken ends the command with one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        stop(f"cannot listen on {host}:{port} ({exc.strerror}): choose another with --port")
    return sock


def announce(settings: Settings, port: int) -> None:
    """Address, key file and the line that sets the key; never the key."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}"
    typer.echo(f"Larimar Service is ready at {address} (API: {address}/docs)")
    path = settings.admin_key_file or settings.admin_key_path
    if settings.auth == "off":
        typer.echo("Authentication is off: everyone may do everything.")
    elif settings.admin_key is None:
        typer.echo(f"Key file: {path}")
        typer.echo(f"export LARIMAR_KEY=$(cat {shlex.quote(str(path))})")
    typer.echo("Ctrl-C stops it.")
