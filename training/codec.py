"""Trains the latent codec: reconstruction under noise and mixture.

Loss: sampled softmax over the embedding table (the batch's own tokens and random rows). The
latent is disturbed as a readout is: Gaussian noise of relative norm 0 to 1, and mixtures with
another fact's latent up to 60/40. Resumes from its last checkpoint; logs one JSON line at a time.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from service.model.codec import Codec
from training import synthetic
from training.data import Relations, pokemqa, running_text, sentences, zsre

NEGATIVES = 1500
BATCH = 256


def join(prompt: str, target: str) -> str:
    return f"{prompt} {target}"


class Texts:
    """An endless stream of short texts of the kinds that facts have."""

    def __init__(self, data: Path, tokenizer: Tokenizer, limit: int, seed: int) -> None:
        self.rng, self.tokenizer, self.limit = random.Random(seed), tokenizer, limit
        self.relations = Relations(data)
        self.lines = running_text(data)
        self.sentences = sentences(self.lines)
        self.fixed = [c["edit"] for c in pokemqa(data)]
        self.fixed += [q for c in pokemqa(data) for q in c["questions"]]
        zs = zsre(data, train=True)
        self.fixed += [join(c["src"], c["alt"]) for c in zs] * 2
        self.fixed += [join(c["rephrase"], c["answers"][0]) for c in zs]

    def text(self) -> str:
        r, rel = self.rng, self.relations
        kind = r.random()
        if kind < 0.35:
            ask = rel.ask(r)
            return join(ask.prompt, ask.target) + r.choice(["", "."])
        if kind < 0.45:
            relation = r.choice(rel.names)
            patterns = sorted(rel.statements.get(relation, ())) or ["{} and [Y]"]
            subject = r.choice(rel.subjects[relation])
            return r.choice(patterns).format(subject).replace("[Y]", rel.target(relation, r))
        if kind < 0.65:
            ask = synthetic.ask(r)
            return join(ask.prompt, ask.target) + r.choice(["", "."])
        if kind < 0.75:
            return str(r.choice(self.fixed))
        if kind < 0.9:
            return r.choice(self.sentences)
        words = r.choice(self.lines).split()
        start = r.randrange(len(words))
        return " ".join(words[start : start + r.randint(3, 40)])

    def tokens(self) -> list[int]:
        ids: list[int] = self.tokenizer.encode(self.text(), add_special_tokens=False).ids
        ids = ids[: self.limit] or [0]
        if self.rng.random() < 0.15:  # the whole table must be reachable, not only common words
            vocabulary = self.tokenizer.get_vocab_size()
            for i in range(len(ids)):
                if self.rng.random() < 0.3:
                    ids[i] = self.rng.randrange(17, vocabulary)  # 0-16 are control tokens
        return ids

    def batches(self, size: int) -> Iterator[list[list[int]]]:
        """Batches of similar length, in random order."""
        while True:
            pool = sorted((self.tokens() for _ in range(size * 16)), key=len)
            chunks = [pool[i : i + size] for i in range(0, len(pool), size)]
            self.rng.shuffle(chunks)
            yield from chunks


def disturb(z: Tensor, generator: torch.Generator) -> Tensor:
    """Mixtures with another row of the batch (a quarter of the rows), then noise, (B, C)."""
    b = z.shape[0]
    u = torch.rand(b, 3, generator=generator)
    share = torch.where(u[:, 0] < 0.25, 0.4 * u[:, 1], 0.0)[:, None]
    z = F.layer_norm((1 - share) * z + share * z.roll(1, 0), z.shape[-1:])
    sigma = u[:, 2:]  # up to 1: what a poor readout adds
    return z + sigma * torch.randn(z.shape, generator=generator)


def loss_of(codec: Codec, rows: list[list[int]], generator: torch.Generator) -> Tensor:
    ids, lengths = codec.pad(rows)  # (B, T)
    states = codec.states(disturb(codec.encode(ids, lengths), generator), ids.shape[1])
    valid = torch.arange(ids.shape[1]) < lengths[:, None]
    wanted = ids[valid]  # (N,)
    negatives = torch.randint(0, codec.embedding.shape[0], (NEGATIVES,), generator=generator)
    table, index = torch.unique(torch.cat([wanted, negatives]), return_inverse=True)
    logits = states[valid] @ codec.embedding[table].T  # (N, S)
    return F.cross_entropy(logits, index[: len(wanted)])


@torch.no_grad()
def exactness(codec: Codec, rows: list[list[int]], sigma: float, share: float = 0.0) -> float:
    """Share of texts (token rows) that come back whole after noise and mixture. N = len(rows)."""
    generator = torch.Generator().manual_seed(7)
    z = torch.cat([codec.encode(*codec.pad(rows[i : i + 128])) for i in range(0, len(rows), 128)])
    z = F.layer_norm((1 - share) * z + share * z.roll(1, 0), z.shape[-1:])
    z = z + sigma * torch.randn(z.shape, generator=generator)
    back = [row for i in range(0, len(rows), 64) for row in codec.decode(z[i : i + 64])]
    return sum(a == b for a, b in zip(rows, back, strict=True)) / len(rows)


def learning_rate(step: int, steps: int, peak: float) -> float:
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def train(
    codec: Codec, texts: Texts, held_out: dict[str, list[list[int]]], out: Path, steps: int,
    peak: float = 1e-3, seed: int = 0,
) -> None:  # fmt: skip
    """Runs to `steps`, saving `out`/codec.pt every 100; started again, it goes on from there."""
    bound = [codec.bind, codec.unbind]  # orthonormal at the start: large steps would undo that
    others = [p for p in codec.parameters() if all(p is not b for b in bound)]
    groups = [{"params": others, "peak": peak}, {"params": bound, "peak": 0.3 * peak}]
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    step = 0
    if (out / "codec.pt").exists():
        saved = torch.load(out / "codec.pt", weights_only=True)
        codec.load_state_dict(saved["codec"])
        optimizer.load_state_dict(saved["optimizer"])
        step = int(saved["step"])
        generator.manual_seed(seed + step)
        texts.rng.seed(seed + step)
    started, running = time.time(), 0.0
    for rows in texts.batches(BATCH):
        if step >= steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, group["peak"])
        loss = loss_of(codec, rows, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        step += 1
        running = _mean(running, loss.item())
        if step % 20 == 0:
            log(out, {"step": step, "loss": running, "seconds": time.time() - started})
        if step % 100 == 0 or step == steps:
            _save(out, codec, optimizer, step)
        if step % 200 == 0 or step == steps:
            codec.eval()
            log(out, {"step": step} | {f"{name}@{s}": exactness(codec, rows, s)
                for name, rows in held_out.items() for s in (0.0, 0.2, 0.4, 1.0)})  # fmt: skip
            codec.train()


def _mean(running: float, value: float) -> float:
    return 0.95 * running + 0.05 * value if running else value


def _save(out: Path, codec: Codec, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {"codec": codec.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, out / "codec.tmp")
    (out / "codec.tmp").rename(out / "codec.pt")


def log(out: Path, row: dict[str, Any]) -> None:
    line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
    print(line, flush=True)
    with (out / "log.jsonl").open("a") as file:
        file.write(line + "\n")
