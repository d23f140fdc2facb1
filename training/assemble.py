"""Puts the stages' results together as a checkpoint with its card."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
)


def assemble(
    runs: Path, out: Path, decoder: Decoder, encoder: SentenceEncoder, names: dict[str, str],
    threshold: float, seed: int,
) -> None:  # fmt: skip
    """`runs`/{codec,adapter,address,scope} → a checkpoint folder. `names`: of the base weights."""
    stages = ("codec", "adapter", "address", "scope")
    saved = {name: torch.load(runs / name / f"{name}.pt", weights_only=True) for name in stages}
    parts: dict[str, dict[str, Tensor]] = {
        "codec.safetensors": saved["codec"]["state"],
        "adapter/adapter_model.safetensors": saved["adapter"]["state"],
        "address.safetensors": saved["address"]["state"],
        "scope.safetensors": saved["scope"]["state"],
    }
    table = encoder.model.get_input_embeddings().weight
    card = {
        "decoder": {"name": names["decoder"], "sha256": checkpoint.digest(decoder.embedding)},
        "encoder": {"name": names["encoder"], "sha256": checkpoint.digest(table)},
        "codec": dataclasses.asdict(_config(saved["codec"]["state"])),
        "adapter": {**dataclasses.asdict(decoder.config),
                    "blocks": decoder.model.config.num_hidden_layers},
        "scope": {"threshold": threshold},
        "data": list(DATA),
        "seed": seed,
        "steps": {name: saved[name]["step"] for name in stages},
        "revision": _revision(),
        "quality": {name: _last_report(runs / name / "log.jsonl") for name in stages},
    }  # fmt: skip
    checkpoint.save(out, card, parts)


def _config(codec: Mapping[str, Tensor]) -> CodecConfig:
    tokens, width, latent = codec["bind"].shape
    layers = [len({k.split(".")[1] for k in codec if k.startswith(f"{half}.")})
              for half in ("encoder", "decoder")]  # fmt: skip
    return CodecConfig(tokens, latent, width, *layers)


def _last_report(path: Path) -> dict[str, Any]:
    """The last line of a stage's log that holds measurements and not only a loss."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    reports = [row for row in rows if "loss" not in row]
    return reports[-1] if reports else {}


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() or "unknown"
