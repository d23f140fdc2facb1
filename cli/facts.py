"""`larimar write | ask | forget | facts`: facts, over HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.http import DEFAULT_URL, Json, Key, Tenant, Url, service, show, stop
from cli.progress import progress

if TYPE_CHECKING:
    from cli.facts_file import Placed
    from larimar_client import FactInput
    from larimar_client import Tenant as Memory

write_app = typer.Typer(add_completion=False)
ask_app = typer.Typer(add_completion=False)
forget_app = typer.Typer(add_completion=False)
facts_app = typer.Typer(add_completion=False)

A_CALL = 250  # facts a change: the bar moves, and others get in between


@write_app.command()
def write(
    prompt: Annotated[
        str | None, typer.Argument(help="The cue, or the whole fact if no target follows.")
    ] = None,
    target: Annotated[str | None, typer.Argument(help="What comes after the cue.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Facts of a .csv or of JSON lines; - is standard input."),
    ] = None,
    id: Annotated[str | None, typer.Option(help="The fact's id; else drawn from its cue.")] = None,
    ttl: Annotated[float | None, typer.Option(help="Seconds until it is forgotten.")] = None,
    tenant: Tenant = "default",
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Write one fact, or all facts of a file. The very next generation uses them.

    \b
    Examples:
      larimar write "The capital of France is" Lyon
      larimar write "Ada is on call this week." --ttl 604800
      larimar write --from facts.csv --tenant acme
      echo '{"prompt": "The gate opens at", "target": "six"}' | larimar write --from -

    A .csv begins with the names of its columns: prompt,target or text, and if you like id,
    ttl_seconds and metadata. Run again, a file replaces what it wrote before.
    """
    if (prompt is None) == (source is None):
        raise typer.BadParameter("give a prompt, or a file with --from")
    if source is not None:
        return _write_file(source, tenant, url, key, as_json)
    cue = {"prompt": prompt, "target": target} if target is not None else {"text": prompt}
    given = {**cue, "id": id, "ttl_seconds": ttl}
    fact: Any = {name: value for name, value in given.items() if value is not None}
    with service(url, key) as larimar:
        reply = larimar.tenant(tenant).write([fact])
    (result,) = reply.results
    if as_json:
        show(asdict(reply))
    else:
        typer.echo(f"{result.status} {result.id} (version {reply.version})")


def _write_file(source: Path, tenant: str, url: str, key: str | None, as_json: bool) -> None:
    from cli.facts_file import FileRefused, read_facts

    try:
        facts = read_facts(source)
    except FileRefused as exc:
        stop(str(exc))
    results: list[dict[str, Any]] = []
    version = 0
    with service(url, key) as larimar, progress("Writing", len(facts)) as bar:
        memory = larimar.tenant(tenant)
        for start in range(0, len(facts), A_CALL):
            reply = _write_part(memory, source, facts[start : start + A_CALL], start)
            version = reply["version"]
            results += reply["results"]
            bar(len(results), None)
    if as_json:
        return show({"version": version, "results": results})
    replaced = sum(result["status"] == "replaced" for result in results)
    typer.echo(f"{len(results) - replaced} written, {replaced} replaced (version {version})")


def _write_part(memory: Memory, source: Path, part: list[Placed], before: int) -> dict[str, Any]:
    """One change. A refusal ends the command, naming the lines of the file."""
    from larimar_client import ApiError

    facts: list[FactInput] = [placed.fact for placed in part]
    try:
        return asdict(memory.write(facts))
    except ApiError as exc:
        for detail in exc.details:
            found = re.match(r"facts\[(\d+)\]", detail.get("param") or "")
            if found:
                line = part[int(found[1])].line
                typer.echo(f"{source} line {line}: {detail['message']}", err=True)
        stop(f"{exc}\n{before} facts of {source} were written; mend it and run this again")


@ask_app.command()
def ask(
    prompt: Annotated[str, typer.Argument(help="The prompt to continue.")],
    tenant: Tenant = "default",
    tokens: Annotated[int, typer.Option(help="Tokens at most.")] = 32,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Ask with the memory and without, side by side.

    \b
    Examples:
      larimar ask "The capital of France is"
      larimar ask "Who is on call?" --tokens 12 --json
    """
    with service(url, key) as larimar:
        memory = larimar.tenant(tenant)
        replies = {
            "never": memory.generate(prompt, max_new_tokens=tokens, memory="never"),
            "auto": memory.generate(prompt, max_new_tokens=tokens, memory="auto"),
        }
    if as_json:
        return show({mode: asdict(reply) for mode, reply in replies.items()})
    edited = replies["auto"].results[0]
    typer.echo(f"base    {replies['never'].text.strip()}")
    typer.echo(f"edited  {edited.text.strip()}")
    used = ", ".join(edited.fact_ids) if edited.in_scope else "no fact"
    typer.echo(f"used    {used} (confidence {edited.confidence:.2f})")


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
    """Erase facts: nothing of them answers any more. Status 1 if there was none of them.

    \b
    Examples:
      larimar forget "The capital of France is"
      larimar forget --id f-3f2a f-91bc --json > receipt.json
      larimar forget --suppress "The capital of France is"
    """
    ids, cues = (prompts, ()) if by_id else ((), prompts)
    with service(url, key) as larimar:
        mode: Any = "suppress" if suppress else "erase"
        reply = larimar.tenant(tenant).forget(ids, prompts=cues, mode=mode)
    if as_json:
        show(asdict(reply))
    else:
        for result in reply.results:
            typer.echo(f"{result.status} {result.id}")
    if all(result.status == "not_found" for result in reply.results):
        raise typer.Exit(1)


@facts_app.command()
def facts(
    tenant: Tenant = "default", url: Url = DEFAULT_URL, key: Key = None, as_json: Json = False
) -> None:
    """List what is stored; with --json as JSON lines, which `write --from` takes back.

    \b
    Examples:
      larimar facts
      larimar facts --json > facts.jsonl
    """
    with service(url, key) as larimar:
        for fact in larimar.tenant(tenant).facts():
            if as_json:
                typer.echo(json.dumps(asdict(fact), ensure_ascii=False))
            else:
                typer.echo(f"{fact.id}  {fact.text or f'{fact.prompt} {fact.target}'}")
