"""`larimar audit`: the audit log as JSON lines, over HTTP."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli.http import DEFAULT_URL, Key, Url, service

app = typer.Typer(add_completion=False)


@app.command()
def audit(
    after: Annotated[
        str | None, typer.Option(help="Only what follows this entry's id.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print who changed what, when, the oldest first, an entry a line.

    \b
    Examples:
      larimar audit >> audit.jsonl
      larimar audit --after 1764115200000-0
    """
    with service(url, key) as larimar:
        while True:
            page = larimar.audit_page(after=after)
            for entry in page.entries:
                typer.echo(json.dumps(asdict(entry), ensure_ascii=False))
            after = page.next_after
            if after is None:
                return
