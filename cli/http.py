"""How the verbs reach a running service: address and key, and errors as one line.

The key is `--key`, `LARIMAR_KEY`, or the first key of the service on this machine, which goes to no
other machine: in a container the verbs find it as the service does.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import httpx
import typer

if TYPE_CHECKING:
    from larimar_client import Larimar

Url = Annotated[str, typer.Option(envvar="LARIMAR_URL", help="Address of the service.")]
Key = Annotated[str | None, typer.Option(envvar="LARIMAR_KEY", help="Key.", show_default=False)]
Tenant = Annotated[str, typer.Option("--tenant", "-t", envvar="LARIMAR_TENANT", help="Tenant.")]
Json = Annotated[bool, typer.Option("--json", help="Print the reply as JSON.")]

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(600.0, connect=5.0)  # seconds: a large snapshot takes its time


def stop(message: str) -> NoReturn:
    """End with status 1 and one line."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


@contextmanager
def service(url: str, key: str | None) -> Iterator[Larimar]:
    """The service by its Python client, which waits and sends again where that is safe; whatever
    goes wrong inside ends the command with one line."""
    from larimar_client import ApiError, Larimar, LarimarError

    try:
        with Larimar(url, key or _own_key(url), timeout=TIMEOUT) as larimar:
            yield larimar
    except ApiError as exc:
        stop(str(exc))
    except LarimarError as exc:
        stop(f"{url} cannot be reached: {exc}. Is `larimar serve` running?")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:  # no address, or a key that no header holds
        stop(f"{url} cannot be asked: {exc}")


def show(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _own_key(url: str) -> str:
    from service.settings import SettingsError, load

    if not _here(httpx.URL(url).host):
        stop(f"no key for {url}, which is not this machine: set LARIMAR_KEY or give --key")
    try:
        settings = load()
        if settings.admin_key is not None:
            return settings.admin_key.get_secret_value()
        file = settings.admin_key_file or settings.admin_key_path
        return file.read_text(encoding="utf-8").strip()
    except (OSError, SettingsError):
        stop("no key: set LARIMAR_KEY or give --key")


def _here(host: str) -> bool:
    """Whether a name or an address is this machine's own to itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
