"""How the verbs reach a running service: address and key, and errors as one line.

The key is `--key`, `LARIMAR_KEY`, or the file that the embedded start keeps on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import httpx
import typer

Url = Annotated[str, typer.Option(envvar="LARIMAR_URL", help="Address of the service.")]
Key = Annotated[str | None, typer.Option(envvar="LARIMAR_KEY", help="Key.", show_default=False)]
Tenant = Annotated[str, typer.Option("--tenant", "-t", envvar="LARIMAR_TENANT", help="Tenant.")]
Json = Annotated[bool, typer.Option("--json", help="Print the reply as JSON.")]

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(120.0, connect=5.0)


def stop(message: str) -> NoReturn:
    """End with status 1 and one line."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


@contextmanager
def connected(url: str, key: str | None) -> Iterator[httpx.Client]:
    """A client of the service; whatever goes wrong inside ends the command with one line."""
    headers = {"Authorization": f"Bearer {key or _own_key()}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT) as client:
            yield client
    except httpx.HTTPStatusError as exc:
        stop(_refusal(exc.response))
    except httpx.HTTPError as exc:
        stop(f"{url} cannot be reached: {exc}. Is `larimar serve` running?")


def call(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    """The reply's JSON, None where it has no body. Raises HTTPStatusError."""
    response = client.request(method, path, json=body)
    if response.is_error:
        raise httpx.HTTPStatusError("refused", request=response.request, response=response)
    return response.json() if response.content else None


def show(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _own_key() -> str:
    from service.settings import SettingsError, load

    try:
        return load().admin_key_path.read_text(encoding="utf-8").strip()
    except (OSError, SettingsError):
        stop("no key: set LARIMAR_KEY or give --key")


def _refusal(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        place = f" ({error['param']})" if error["param"] else ""
        return f"{response.status_code} {error['code']}: {error['message']}{place}"
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} from {response.request.url}: not a reply of this service"
