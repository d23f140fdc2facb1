"""Puts the stages' results together as a checkpoint with its card."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.model import checkpoint, lora
from service.model.codec import CodecConfig
from service.model.decoder import Decoder
from service.model.encoder import SentenceEncoder
from service.model.weights import DEFAULT_DECODER, DEFAULT_ENCODER, decoder_path, encoder_path

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


def assemble(runs: Path, out: Path, threshold: float, seed: int) -> None:
    """`runs`/{codec,adapter,address,scope} → a checkpoint folder."""
    saved = {name: torch.load(runs / name / f"{name}.pt", weights_only=True)
             for name in ("codec", "adapter", "address", "scope")}  # fmt: skip
    scope, address = saved["scope"], saved["address"]
    head = {f"head.{k}": v for k, v in scope["head"].items()}
    parts: dict[str, dict[str, Tensor]] = {
        "codec.safetensors": saved["codec"]["codec"],
        "adapter/adapter_model.safetensors": saved["adapter"]["adapter"],
        "address.safetensors": {**address["delta"], "idf": address["idf"]},
        "scope.safetensors": {**scope["delta"], **head, "calibration": scope["calibration"]},
    }
    checkpoint.save(out, card(runs, saved, threshold, seed), parts)


def card(runs: Path, saved: dict[str, Any], threshold: float, seed: int) -> dict[str, Any]:
    decoder, encoder = Decoder(decoder_path()), SentenceEncoder(encoder_path())
    codec = saved["codec"]["codec"]
    tokens, width, latent = codec["bind"].shape
    layers = [len({k.split(".")[1] for k in codec if k.startswith(f"{half}.")})
              for half in ("encoder", "decoder")]  # fmt: skip
    config = CodecConfig(tokens, latent, width, *layers)
    table = encoder.model.get_input_embeddings().weight
    return {
        "decoder": {"name": DEFAULT_DECODER, "sha256": checkpoint.digest(decoder.embedding)},
        "encoder": {"name": DEFAULT_ENCODER, "sha256": checkpoint.digest(table)},
        "codec": dataclasses.asdict(config),
        "adapter": {**dataclasses.asdict(lora.AdapterConfig()),
                    "blocks": decoder.model.config.num_hidden_layers},
        "scope": {"threshold": threshold},
        "data": list(DATA),
        "seed": seed,
        "steps": {"codec": saved["codec"]["step"], "adapter": saved["adapter"]["step"]},
        "revision": _revision(),
        "quality": {name: _last_report(runs / name / "log.jsonl") for name in saved},
    }  # fmt: skip


def _last_report(path: Path) -> dict[str, Any]:
    """The last line of a stage's log that holds measurements and not only a loss."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    reports = [row for row in rows if "loss" not in row]
    return reports[-1] if reports else {}


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() or "unknown"
