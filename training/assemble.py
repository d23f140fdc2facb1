"""Puts the stages' results together as a checkpoint with its card."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.report import revision
from service.model import checkpoint
from service.model.codec import CodecConfig
from service.model.decoder import Decoder
from service.model.encoder import SentenceEncoder

DATA = (
    "CounterFact train.json without the subjects of val.json and full_dev.json (ROME, MIT)",
    "zsRE, 800 cases of MEND's schema (MIT)",
    "PARAREL patterns x T-REx facts, held-out subjects removed (MIT)",
    "LRE factual relations, held-out subjects removed (MIT)",
    "PokeMQA edits with questions (MIT)",
    "SQuAD 2.0 sample (CC BY-SA 4.0)",
    "WikiText-2 validation text, first nine tenths (CC BY-SA 3.0)",
    "generated application facts (training/synthetic.py)",
    "calibration of the gate: the last 150 cases of CounterFact's full_dev.json, and 60 kinds of "
    "facts that no episode has (training/kinds/tuning.txt)",
)


STAGES = ("codec", "adapter", "address", "scope")  # each makes one of checkpoint.FILES
ORIGIN = "start.json"  # in the runs' folder: what `begin` went on from, for whoever resumes


def begin(start: Path, runs: Path) -> None:
    """Stages that have not begun go on from the parts of the checkpoint in `start`.

    Raises CheckpointError.
    """
    found = checkpoint.Checkpoint(start)
    runs.mkdir(parents=True, exist_ok=True)
    (runs / ORIGIN).write_text(json.dumps(_origin(found)))
    for name, file in zip(STAGES, checkpoint.FILES, strict=True):
        target = runs / name / f"{name}.pt"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            state = found.tensors(file)
            torch.save({"state": state, "optimizer": None, "step": 0}, target)


def assemble(
    runs: Path, out: Path, decoder: Decoder, encoder: SentenceEncoder, names: dict[str, str],
    thresholds: tuple[float, float], seed: int,
) -> None:  # fmt: skip
    """`runs`/STAGE → a checkpoint folder. `names`: of the base weights;
    `thresholds`: of the gate, for facts and for suppressions."""
    stages = STAGES
    saved = {name: torch.load(runs / name / f"{name}.pt", weights_only=True) for name in stages}
    parts: dict[str, dict[str, Tensor]] = {
        file: saved[name]["state"] for name, file in zip(stages, checkpoint.FILES, strict=True)
    }
    table = encoder.model.get_input_embeddings().weight
    origin = json.loads((runs / ORIGIN).read_text()) if (runs / ORIGIN).exists() else None
    known = (origin or {}).get("quality") or {}  # of parts that are as they were
    card = {
        "decoder": {"name": names["decoder"], "sha256": checkpoint.digest(decoder.embedding)},
        "encoder": {"name": names["encoder"], "sha256": checkpoint.digest(table)},
        "codec": dataclasses.asdict(_config(saved["codec"]["state"])),
        "adapter": {**dataclasses.asdict(decoder.config),
                    "blocks": decoder.model.config.num_hidden_layers,
                    "fan_in_fan_out": any(one.transposed for one in decoder.adapters.values())},
        "scope": {"threshold": thresholds[0], "suppressed": thresholds[1]},
        "data": list(DATA),
        "seed": seed,
        "steps": {name: saved[name]["step"] for name in stages},
        "start": origin,
        "revision": revision(),
        "quality": {name: _last_report(runs / name / "log.jsonl") or known.get(name, {})
                    for name in stages},
    }  # fmt: skip
    checkpoint.save(out, card, parts)


def _config(codec: Mapping[str, Tensor]) -> CodecConfig:
    tokens, width, latent = codec["bind"].shape
    layers = [len({k.split(".")[1] for k in codec if k.startswith(f"{half}.")})
              for half in ("encoder", "decoder")]  # fmt: skip
    return CodecConfig(tokens, latent, width, *layers)


def _origin(start: checkpoint.Checkpoint) -> dict[str, Any]:
    """What a card says of the checkpoint that its training went on from."""
    known = {name: start.card.get(name) for name in ("revision", "steps", "quality", "start")}
    return {"fingerprint": start.fingerprint(), **known}


def _last_report(path: Path) -> dict[str, Any]:
    """The last line of a stage's log that holds measurements and not only a loss."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    reports = [row for row in rows if "loss" not in row]
    return reports[-1] if reports else {}
