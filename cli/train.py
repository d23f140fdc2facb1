"""`larimar train`: the trained parts of a checkpoint, for any decoder and encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


def _counts(pairs: list[str], known: dict[str, int]) -> dict[str, int]:
    """`["codec=900"]` → steps of every stage; raises BadParameter."""
    steps = dict(known)
    for pair in pairs:
        name, _, count = pair.partition("=")
        if name not in known or not count.isdigit() or int(count) < 1:
            raise typer.BadParameter(f"{pair!r}: write STAGE=STEPS, one of {', '.join(known)}")
        steps[name] = int(count)
    return steps


@app.command("train")
def train(
    data: Annotated[Path, typer.Option(help="Folder of the public sets (training/recipe.md).")],
    out: Annotated[Path, typer.Option(help="Folder of the finished checkpoint.")],
    runs: Annotated[Path, typer.Option(help="Folder of what is under way.")] = Path("runs"),
    stage: Annotated[list[str] | None, typer.Option(help="Only these stages.")] = None,
    decoder: Annotated[str, typer.Option(help="A causal LM: hub id or folder.")] = "",
    encoder: Annotated[str, typer.Option(help="A BERT-like encoder: hub id or folder.")] = "",
    steps: Annotated[list[str] | None, typer.Option(help="STAGE=STEPS, may be repeated.")] = None,
    tokens: Annotated[int, typer.Option(help="T: the longest fact, in the decoder's tokens.")] = 32,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts of a batch, to save memory.")] = 1,
    threshold: Annotated[float, typer.Option(help="Of the scope gate.")] = 0.45,
    suppressed: Annotated[float, typer.Option(help="Of the gate, for suppressed facts.")] = 0.45,
    start: Annotated[Path | None, typer.Option(help="Go on from this checkpoint.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Share of the learning rates.")] = 1.0,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train address encoder, codec, adapter and scope gate, then put them together.

    The base weights stay as they are. A GPU is used if there is one, in bfloat16. Interrupted, the
    same command goes on where it was; each stage logs to RUNS/STAGE/log.jsonl.

    Example: larimar train --decoder HuggingFaceTB/SmolLM2-360M-Instruct --data data --out mine;
    then LARIMAR_CHECKPOINT=mine larimar serve.
    """
    from training.loop import Hardware
    from training.stages import STEPS, Setup, run

    wanted = _counts(steps or [], STEPS)
    if unknown := set(stage or ()) - set(STEPS):
        raise typer.BadParameter(f"no stage {sorted(unknown)[0]!r}: one of {', '.join(STEPS)}")
    names = {k: v for k, v in (("decoder", decoder), ("encoder", encoder)) if v}
    setup = Setup(data, runs, **names, tokens=tokens, seed=seed, start=start,
                  rate=rate, hardware=Hardware.best(accumulate))  # fmt: skip
    chosen = {name: count for name, count in wanted.items() if not stage or name in stage}
    run(setup, chosen, out, (threshold, suppressed))
