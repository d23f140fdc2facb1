"""Fine-tunes the address encoder: ways of asking for one fact meet, everything else parts.

InfoNCE (temperature .05) on the dense half. A batch holds several subjects of one relation under
the same wordings (so the relation alone cannot tell them apart), the same subjects under another
relation (so the subject alone cannot either), application-style facts with near-miss entities,
zsRE's rephrasings and PokeMQA's questions. Keys are prompts or whole statements with an object,
which must be ignored.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model import lora
from service.model.address import AddressEncoder, Sketch, idf_table
from service.model.encoder import SentenceEncoder
from training import synthetic
from training.codec import Texts
from training.data import Relations, join, zsre
from training.loop import Group, Plan, Run, State

IDF_TEXTS = 30_000
BATCH = 64
Pair = tuple[str, str]  # key, query


class Pairs:
    """Batches of (key, query) whose rows are each other's hard negatives."""

    def __init__(self, data: Path, seed: int) -> None:
        self.rng, self.relations = random.Random(seed), Relations(data)
        self.zsre = [(c["src"], c["rephrase"]) for c in zsre(data, train=True)]
        self.pokemqa = [(c["edit"], c["questions"]) for c in self.relations.pokemqa
                        if c["questions"]]  # fmt: skip

    def _related(self) -> Iterator[Pair]:
        """Subjects of one relation, and each of them under another."""
        r, rel = self.rng, self.relations
        relation = r.choice(rel.names)
        key, query = rel.template(relation, r), rel.template(relation, r)
        for subject in r.sample(rel.subjects[relation], min(10, len(rel.subjects[relation]))):
            yield self._key(relation, key, subject), query.format(subject)
            if other := rel.other_relation(relation, r):
                yield (self._key(other, rel.template(other, r), subject),
                       rel.template(other, r).format(subject))  # fmt: skip

    def _key(self, relation: str, template: str, subject: str) -> str:
        cue = template.format(subject)
        stated = self.rng.random() < 0.3
        return join(cue, self.relations.target(relation, self.rng)) if stated else cue

    def _synthetic(self) -> Iterator[Pair]:
        ask = synthetic.ask(self.rng)
        key = join(ask.prompt, ask.target) if self.rng.random() < 0.3 else ask.prompt
        yield key, ask.query

    def batch(self, size: int) -> list[Pair]:
        found: dict[Pair, None] = {}
        while len(found) < size:
            kind = self.rng.random()
            if kind < 0.6:
                found |= dict.fromkeys(self._related())
            elif kind < 0.8:
                found |= dict.fromkeys(self._synthetic())
            elif kind < 0.9:
                found[self.rng.choice(self.zsre)] = None
            else:
                edit, questions = self.rng.choice(self.pokemqa)
                found[edit, self.rng.choice(questions)] = None
        return list(found)[:size]


def loss_of(address: AddressEncoder, pairs: list[Pair], temperature: float = 0.05) -> Tensor:
    keys, queries = zip(*pairs, strict=True)
    a, b = address.dense(keys), address.dense(queries)  # (B, w)
    scores = (a @ b.T / temperature).float()
    same = torch.tensor([[x == y for y in keys] for x in keys]) & ~torch.eye(
        len(keys), dtype=torch.bool
    )
    scores = scores.masked_fill(same.to(a.device), -1e4)  # the same key twice is no negative
    wanted = torch.arange(len(pairs), device=a.device)
    return (F.cross_entropy(scores, wanted) + F.cross_entropy(scores.T, wanted)) / 2


Cases = list[tuple[str, str, list[str]]]  # key, paraphrase, neighbours


def evaluate(address: AddressEncoder, cases: Cases) -> dict[str, float]:
    """Top-1 of paraphrases among all keys; AUC of paraphrases against neighbours (best cosine)."""
    keys = address.encode([k for k, _, _ in cases])
    ask = address.encode([p for _, p, _ in cases]) @ keys.T
    near = (address.encode([n for _, _, ns in cases for n in ns]) @ keys.T).amax(1)
    best, index = ask.max(1)
    top1 = (index == torch.arange(len(cases))).float().mean()
    auc = (best[:, None] > near[None]).float().mean()
    return {"top1": float(top1), "auc": float(auc), "n": float(len(cases))}


def load(address: AddressEncoder, state: State) -> None:
    """Restores what `train` saved: the delta; the idf table is the sketch's."""
    lora.load(address.encoder.adapters, {k: v for k, v in state.items() if k != "idf"})


def train(
    encoder: SentenceEncoder, data: Path, texts: Texts, cases: Cases, out: Path, plan: Plan
) -> None:
    run = Run(out, [Group(lora.parameters(encoder.adapters), 5e-4)], plan)
    state = run.resume()
    idf = state["idf"] if state else idf_table([texts.text() for _ in range(IDF_TEXTS)])
    address = AddressEncoder(encoder, Sketch(idf))
    if state:
        load(address, state)
    pairs = Pairs(data, plan.seed + run.step)
    if not run.step:
        run.log(**evaluate(address, cases))
    size = plan.hardware.part(BATCH)
    for _ in run:
        loss = run.descend(lambda: loss_of(address, pairs.batch(size)))
        if run.due(10):
            run.log(loss=loss)
        if run.due(40):
            run.log(**evaluate(address, cases))
            run.save({**lora.state(encoder.adapters), "idf": idf})
