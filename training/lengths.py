"""How long a fact one latent holds: exact reconstruction by length, noise and mixture.

The checkpoint's codec, with and without refinement (service/model/refine.py), and codecs of T = 32,
48 and 64 tokens trained from the start for the same steps over the same data, without. Held out:
300 facts of CounterFact, 200 of zsRE, 240 of kinds that no stage sees (held_out.py), the first L
tokens of 100 paragraphs that none sees.

    python -m training.lengths DATA codec.json          the checkpoint's codec
    python -m training.lengths DATA lengths.json STEPS  codecs of those lengths
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from benchmarks.report import stamp
from service.model.checkpoint import DEFAULT
from service.model.codec import Codec
from service.model.larimar import LarimarModel
from training import held_out, stages
from training.assemble import begin
from training.codec import Decode, exactness
from training.data import unseen_text
from training.loop import Hardware
from training.stages import Setup

TOKENS = (32, 48, 64)
LENGTHS = (8, 16, 24, 31, 47, 63)
SIGMAS = (0.0, 0.2, 0.4, 1.0)


def texts(data: Path, tokenizer: Tokenizer, limit: int) -> dict[str, list[list[int]]]:
    """Held-out token rows, those of at most `limit` tokens."""
    facts = held_out.texts(data, tokenizer, limit + 1)
    found = {name: rows for name, rows in facts.items() if name != "text"}
    lines = unseen_text(data)
    rows = [tokenizer.encode(line, add_special_tokens=False).ids for line in lines]
    for length in (n for n in LENGTHS if n <= limit):
        found[f"text of {length}"] = [row[:length] for row in rows if len(row) >= length][:100]
    return {name: rows for name, rows in found.items() if rows}


def table(
    codec: Codec, data: Path, tokenizer: Tokenizer, decode: Decode | None = None
) -> dict[str, dict[str, float]]:
    """Text → its exact shares by noise, those of an 80/20 mixture, N, and milliseconds a text."""
    found = {}
    for name, rows in texts(data, tokenizer, codec.config.max_tokens - 1).items():
        started = time.monotonic()
        shares = {f"@{sigma}": exactness(codec, rows, sigma, 0.0, decode) for sigma in SIGMAS}
        spent = 1000 * (time.monotonic() - started) / len(SIGMAS) / len(rows)
        shares["@80/20"] = exactness(codec, rows, 0.0, 0.2, decode)
        found[name] = {**shares, "n": len(rows), "ms": round(spent)}
    return found


def trained(setup: Setup, steps: int) -> Codec:
    """A codec after `steps`, with the checkpoint's addresses for its episodes."""
    begin(DEFAULT, setup.runs)
    (setup.runs / "codec" / "codec.pt").unlink()
    stages.train_codec(setup, steps)
    codec = setup.codec()
    codec.load_state_dict(torch.load(setup.runs / "codec" / "codec.pt", weights_only=True)["state"])
    return codec


def shipped(data: Path) -> dict[str, Any]:
    model = LarimarModel.load(DEFAULT)
    codec, tokenizer = model.codec, model.decoder.tokenizer.backend_tokenizer
    return {"refined": table(codec, data, tokenizer, codec.decode),
            "position by position": table(codec, data, tokenizer)}  # fmt: skip


def by_length(data: Path, runs: Path, steps: int, hardware: Hardware) -> dict[str, Any]:
    found = {}
    for tokens in TOKENS:
        setup = Setup(data, runs / f"T{tokens}", tokens=tokens, hardware=hardware)
        codec = trained(setup, steps)
        found[f"T = {tokens}, {steps} steps"] = table(codec, data, setup.tokenizer)
    return found


def main(data: Path, file: Path, steps: int) -> None:
    hardware = Hardware(Hardware.best().device)  # float32 on any device
    made = stamp(hardware.device)
    found = by_length(data, file.parent, steps, hardware) if steps else shipped(data)
    file.write_text(json.dumps({**made, "codecs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
