"""What conditions the decoder best: LoRA, a pointer head, both; and where the memory stands.

Each variant starts from nothing and takes the same steps over the same rows. The pointer head
(See et al. 2017, arXiv 1704.04368) mixes the decoder's distribution with one over the memory
tokens: weights from projections of the last hidden states, a gate from the state that asks.
Measured teacher-forced on cases that neither training nor evaluation uses (held_out.soup), and on
wrong memories: the share whose first token is still the base model's.

    python -m training.ablations DATA OUT.json [STEPS]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.report import stamp
from service.model import lora
from service.model.decoder import Decoder
from training import adapter, held_out
from training.adapter import Row, at_answers, hidden_of
from training.loop import Group, Hardware, Plan, Run
from training.stages import Setup

RATE = 1e-3
WRONG = 96  # rows with a wrong memory


class Pointer(nn.Module):
    """p = (1 - g) softmax(LM) + g · attention over the memory tokens."""

    def __init__(self, width: int, size: int = 64) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, size), nn.Linear(width, size)
        self.gate = nn.Linear(width, 1)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, state: Tensor, memory: Tensor, ids: Tensor, logits: Tensor) -> Tensor:
        """Log probabilities (n, V): `state` (n, d) asks, `memory` (m, d) are states of `ids`."""
        scores = self.query(state) @ self.key(memory).T / self.key.out_features**0.5
        gate = self.gate(state).sigmoid()
        mixed = (1 - gate) * logits.softmax(-1)
        mixed = mixed.index_add(-1, ids, gate * scores.softmax(-1))
        found: Tensor = mixed.clamp_min(1e-12).log()
        return found


@dataclass(frozen=True)
class Variant:
    """`order`: B the first special token, M the memory, E the end token, P the prompt."""

    name: str
    lora: bool = True
    pointer: bool = False
    order: str = "BMEP"


VARIANTS = (
    Variant("LoRA"),
    Variant("pointer", lora=False, pointer=True),
    Variant("LoRA + pointer", pointer=True),
    Variant("LoRA, memory first", order="MBP"),
    Variant("LoRA, no end token", order="BMP"),
    Variant("LoRA, memory after the prompt", order="BPEM"),
)


@dataclass
class Answering:
    """Logits at the answers of rows, under a variant."""

    variant: Variant
    pointer: Pointer

    def __call__(self, decoder: Decoder, rows: list[Row]) -> Tensor:
        heads = [self.head(decoder, row) for row in rows]
        hidden = hidden_of(decoder, heads, rows, self.variant.lora)
        states = at_answers(hidden, heads, rows)
        logits = decoder.logits(states)
        if not self.variant.pointer:
            return logits
        found, sizes = [], [len(row.answer) for row in rows]
        split = (torch.split(one, sizes) for one in (states, logits))
        parts = zip(rows, hidden, *split, strict=True)
        for row, whole, state, scores in parts:
            ids = torch.tensor([*row.memory, decoder.end], device=whole.device)
            found.append(self.pointer(state, whole[1 : 1 + len(ids)], ids, scores))
        return torch.cat(found)

    def head(self, decoder: Decoder, row: Row) -> list[int]:
        parts = {"B": [decoder.begin], "M": row.memory, "E": [decoder.end], "P": row.prompt}
        return [token for letter in self.variant.order for token in parts[letter]]


def measure(setup: Setup, variant: Variant, steps: int, out: Path) -> dict[str, float | str]:
    decoder, pointer = setup.base, Pointer(setup.base.embedding.shape[1])
    answering = Answering(variant, pointer.to(setup.hardware.device))
    for module in decoder.adapters.values():
        nn.init.kaiming_uniform_(module.lora_A.weight, 5**0.5)
        nn.init.zeros_(module.lora_B.weight)
    parameters = lora.parameters(decoder.adapters) if variant.lora else []
    parameters += list(pointer.parameters()) if variant.pointer else []
    source = adapter.Rows(setup.data, decoder, setup.tokens, setup.seed)
    batches = source.batches(adapter.BATCH)

    def loss() -> Tensor:
        rows = next(batches)
        return adapter.loss_of(decoder, rows, answering(decoder, rows))

    run = Run(out / variant.name, [Group(parameters, RATE)], Plan(steps, setup.hardware))
    started = time.monotonic()
    for _ in run:
        run.descend(loss)
    seconds = (time.monotonic() - started) / steps
    cases = held_out.soup(setup.data)
    scores = {k: adapter.exactness(decoder, v, answering) for k, v in cases.items()}
    kept = _kept(decoder, source, answering)
    return {"variant": variant.name, **scores, "wrong memory, as base": kept, "s a step": seconds}


@torch.no_grad()
def _kept(decoder: Decoder, source: adapter.Rows, answering: Answering) -> float:
    """Wrong memories under which the first token is the base model's."""
    source.rng.seed(-1)
    wrong = (row for row in iter(source.row, None) if row.wrong)
    rows = [next(wrong) for _ in range(WRONG)]
    same = 0
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        first = [sum(len(row.answer) for row in part[:i]) for i in range(len(part))]
        said = answering(decoder, part)[first].argmax(-1)
        plain = [row.prompt for row in part]
        base = decoder.logits(at_answers(hidden_of(decoder, plain, part, False), plain, part))
        same += int((said == base[first].argmax(-1)).sum())
    return same / len(rows)


def main(data: Path, file: Path, steps: int) -> None:
    rows, hardware = [], Hardware(Hardware.best().device)  # float32 on any device
    made = stamp(hardware.device)
    for variant in VARIANTS:
        torch.manual_seed(0)
        setup = Setup(data, file.parent, hardware=hardware)
        rows.append(measure(setup, variant, steps, file.parent / "ablations"))
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}
        print(rounded, flush=True)
    found = {**made, "steps": steps, "batch": 16, "rows": rows}
    file.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int((sys.argv[3:] or ["80"])[0]))
