"""Trains the latent codec: reconstruction under noise, mixture, and real readouts.

Loss: sampled softmax over the embedding table: the batch's own tokens, rows near them, and random
rows. The latent is disturbed as a readout is: Gaussian noise of relative norm 0 to 1, and mixtures
with another fact's latent up to 60/40. The last tenth of the steps reads from episodes: memories
of 16 to 64 facts, asked by paraphrase (training/episodes.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from service.model.codec import Codec
from training import synthetic
from training.data import Relations, join, running_text, sentences, zsre
from training.episodes import Readouts
from training.loop import Group, Plan, Run

NEGATIVES = 1000
NEAR = 8  # rows of the table that a token is told apart from, one of them a step
BATCH = 256


class Texts:
    """An endless stream of short texts of the kinds that facts have."""

    def __init__(self, data: Path, tokenizer: Tokenizer, limit: int, seed: int) -> None:
        self.rng, self.tokenizer, self.limit = random.Random(seed), tokenizer, limit
        control = {i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
        self.vocabulary = sorted(set(range(tokenizer.get_vocab_size())) - control)
        self.relations = Relations(data)
        self.lines = running_text(data)
        self.sentences = sentences(self.lines)
        self.fixed = [c["edit"] for c in self.relations.pokemqa]
        self.fixed += [q for c in self.relations.pokemqa for q in c["questions"]]
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
            return rel.statement(r).prompt
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
            ids = [self.rng.choice(self.vocabulary) if self.rng.random() < 0.3 else i for i in ids]
        return ids

    def batches(self, size: int) -> Iterator[list[list[int]]]:
        """Batches of similar length, in random order."""
        while True:
            pool = sorted((self.tokens() for _ in range(size * 16)), key=len)
            chunks = [pool[i : i + size] for i in range(0, len(pool), size)]
            self.rng.shuffle(chunks)
            yield from chunks


def noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


def disturb(z: Tensor, generator: torch.Generator) -> Tensor:
    """Mixtures with another row of the batch (a quarter of the rows), then noise, (B, C)."""
    b = z.shape[0]
    u = torch.rand(b, 3, generator=generator).to(z)
    share = torch.where(u[:, 0] < 0.25, 0.4 * u[:, 1], 0.0)[:, None]
    z = F.layer_norm((1 - share) * z + share * z.roll(1, 0), z.shape[-1:])
    sigma = u[:, 2:]  # up to 1: what a poor readout adds
    return z + sigma * noise(z, generator)


@torch.no_grad()
def nearest(table: Tensor, rows: slice = slice(None)) -> Tensor:
    """The NEAR rows of a table (V, d) that lie nearest to each of `rows` by cosine, (N, NEAR)."""
    unit = F.normalize(table, dim=-1)
    return torch.cat(
        [(part @ unit.T).topk(NEAR + 1).indices[:, 1:] for part in torch.split(unit[rows], 2048)]
    )


class Loss:
    """How well latents read back; random rows come from `generator`."""

    def __init__(self, codec: Codec, generator: torch.Generator) -> None:
        self.codec, self.generator = codec, generator
        self.near = nearest(codec.embedding)

    def __call__(self, z: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Cross entropy of the tokens (B, T') that latents (B, C) should read back as."""
        states = self.codec.states(z, ids.shape[1])
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        wanted = ids[valid]  # (N,)
        rows = torch.cat([wanted, self._negatives(torch.unique(wanted))])
        table, index = torch.unique(rows, return_inverse=True)
        logits = states[valid] @ self.codec.embedding[table].T  # (N, S)
        return F.cross_entropy(logits, index[: len(wanted)])

    def _negatives(self, tokens: Tensor) -> Tensor:
        """Any rows, and one near each of the tokens."""
        count, generator = len(self.near), self.generator
        anywhere = torch.randint(0, count, (NEGATIVES,), generator=generator).to(tokens)
        column = torch.randint(0, NEAR, (len(tokens),), generator=generator).to(tokens)
        return torch.cat([anywhere, self.near[tokens, column]])

    def texts(self, rows: list[list[int]]) -> Tensor:
        """Of texts (token rows) whose latents were disturbed."""
        ids, lengths = self.codec.pad(rows)  # (B, T)
        return self(disturb(self.codec.encode(ids, lengths), self.generator), ids, lengths)

    def episode(self, readouts: Readouts, size: int) -> Tensor:
        """Of latents mixed as a memory of 16 to 64 facts mixes them when asked by paraphrase."""
        rows, mix, wanted = readouts.batch(size)  # mix (Q, B)
        ids, lengths = self.codec.pad(rows)
        stored = self.codec.encode(ids, lengths)
        z = F.layer_norm(mix.to(stored) @ stored, stored.shape[-1:])
        z = z + torch.rand(len(z), 1, generator=self.generator).to(z) * noise(z, self.generator)
        return self(z, ids[wanted], lengths[wanted])


Decode = Callable[[Tensor], list[list[int]]]


@torch.no_grad()
def exactness(
    codec: Codec, rows: list[list[int]], sigma: float, share: float = 0.0,
    decode: Decode | None = None,
) -> float:  # fmt: skip
    """Share of texts (token rows) that come back whole after noise and mixture. N = len(rows).

    `decode`: `codec.greedy` unless another is given.
    """
    generator = torch.Generator().manual_seed(7)
    z = torch.cat([codec.encode(*codec.pad(rows[i : i + 128])) for i in range(0, len(rows), 128)])
    z = F.layer_norm((1 - share) * z + share * z.roll(1, 0), z.shape[-1:])
    z = z + sigma * noise(z, generator)
    decode = decode or codec.greedy
    back = [row for i in range(0, len(rows), 64) for row in decode(z[i : i + 64])]
    return sum(a == b for a, b in zip(rows, back, strict=True)) / len(rows)


def report(codec: Codec, held_out: dict[str, list[list[int]]]) -> dict[str, float]:
    """Exactness of held-out texts by noise, and of an 80/20 mixture of two."""
    found = {f"{name}@{s}": exactness(codec, rows, s)
             for name, rows in held_out.items() for s in (0.0, 0.2, 0.4, 1.0)}  # fmt: skip
    return found | {f"{name}@80/20": exactness(codec, r, 0.0, 0.2) for name, r in held_out.items()}


def train(
    codec: Codec, texts: Texts, readouts: Readouts, held_out: dict[str, list[list[int]]],
    out: Path, plan: Plan,
) -> None:  # fmt: skip
    bound = [codec.bind, codec.unbind]  # orthonormal at the start: large steps would undo that
    others = [p for p in codec.parameters() if all(p is not b for b in bound)]
    run = Run(out, [Group(others, 1e-3), Group(bound, 3e-4)], plan, decay=0.01)
    if state := run.resume():
        codec.load_state_dict(dict(state))
    generator = torch.Generator().manual_seed(plan.seed + run.step)
    loss_of = Loss(codec, generator)
    texts.rng.seed(plan.seed + run.step)
    size = plan.hardware.part(BATCH)
    batches = texts.batches(size)
    for step in run:
        read = step > 0.9 * plan.steps and step % 2 == 0
        loss = run.descend(lambda: loss_of.episode(readouts, size) if read  # noqa: B023
                           else loss_of.texts(next(batches)))  # fmt: skip
        if run.due(20):
            run.log(loss=loss)
        if run.due(100):
            run.save(codec.state_dict())
        if run.due(200):
            run.log(**report(codec, held_out))
