"""`larimar audit`: the audit log as JSON lines, over HTTP."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from cli.http import DEFAULT_URL, Key, Url, call, connected

app = typer.Typer(add_completion=False)
PAGE = 1000


@app.command()
def audit(
    after: Annotated[str, typer.Option(help="Only what follows this entry's id.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print who changed what, when, the oldest first, an entry a line.

    \b
    Examples:
      larimar audit >> audit.jsonl
      larimar audit --after 1764115200000-0
    """
    with connected(url, key) as client:
        while True:
            start = f"&after={quote(after)}" if after else ""
            page = call(client, "GET", f"/v1/audit?limit={PAGE}{start}")
            for entry in page["entries"]:
                typer.echo(json.dumps(entry))
            after = page["next_after"]
            if after is None:
                break
