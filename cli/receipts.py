"""`larimar verify-receipt`: check a proof of erasure with the public key alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.http import Json, show, stop

app = typer.Typer(add_completion=False)


@app.command()
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="A receipt, or the whole reply of a forget.")],
    public_key: Annotated[
        Path, typer.Option("--public-key", "-k", help="PEM file, from GET /v1/receipt-key.")
    ],
    as_json: Json = False,
) -> None:
    """Check who erased what, when; status 0 only if the signature is the key's.

    \b
    Examples:
      larimar forget "The capital of France is" --json > receipt.json
      larimar verify-receipt receipt.json --public-key receipts.pem
    """
    from service.receipts import ReceiptError, verify

    try:
        data = json.loads(receipt.read_text(encoding="utf-8"))
        found = data.get("receipt", data)
        payload = verify(
            found["payload"], found["signature"], public_key.read_text(encoding="utf-8")
        )
    except ReceiptError as exc:
        stop(str(exc))
    except OSError as exc:
        stop(f"cannot be read: {exc}")
    except (ValueError, KeyError, TypeError, AttributeError):
        stop("not a receipt")
    if as_json:
        return show(payload)
    typer.echo(f"valid: {len(payload['ids'])} erased from {payload['tenant']} at {payload['time']}")
    versions = f"{payload['version_before']} → {payload['version_after']}"
    typer.echo(f"version {versions}: {', '.join(payload['ids'])}")
