"""Trains and calibrates the scope gate on real reads.

Each episode writes facts into a memory under their trained addresses and asks: for a stored fact
in other words (label 1 if the row read first is that fact), for the same relation of another
subject, for another relation of the same subject, for a near-miss entity, for something
unrelated, or with a unit that holds no question at all (label 0). Calibration (Platt) is fitted
on fresh episodes; expected calibration error is reported on others.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memory_store.store import Fact, MemorySpec
from memory_store.view import build_view
from service.model import lora
from service.model.address import AddressEncoder
from service.model.scope import ScopeGate, features
from training import synthetic
from training.codec import join, learning_rate, log
from training.data import Relations, load_json, pokemqa, running_text, sentences, zsre

EMPTY = (
    "They play as",
    "A:",
    "It is in",
    "Answer:",
    "Their name is",
    "?",
    "and",
    "Who?",
    "They are",
)


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    fact: int  # index of the stored fact that it asks for; -1: none


@dataclass(frozen=True, slots=True)
class Sample:
    unit: str
    fact: str
    match: Tensor  # (FEATURES,)
    label: float


class Episodes:
    """Stored facts (cue, text) and queries with their labels."""

    def __init__(self, data: Path, address: AddressEncoder, seed: int) -> None:
        self.rng, self.relations, self.address = random.Random(seed), Relations(data), address
        self.sentences = sentences(running_text(data))
        self.zsre = zsre(data, train=True)
        self.pokemqa = [c for c in pokemqa(data) if c["questions"]]
        held = self.relations.held_out
        locality = load_json(data / "counterfact" / "train.json")
        self.locality = [c["locality_prompt"] for c in locality if c["subject"] not in held]

    def episode(self, size: int) -> tuple[list[tuple[str, str]], list[Query]]:
        facts: list[tuple[str, str]] = []
        queries: list[Query] = []
        while len(facts) < size:
            kind, at = self.rng.random(), len(facts)
            if kind < 0.7:
                self._relational(facts, queries, at)
            elif kind < 0.87:
                self._synthetic(facts, queries, at)
            elif kind < 0.95:
                case = self.rng.choice(self.zsre)
                facts.append((case["src"], join(case["src"], case["alt"])))
                queries += [Query(case["rephrase"], at), Query(case["loc"], -1)]
            else:
                case = self.rng.choice(self.pokemqa)
                facts.append((case["edit"], case["edit"]))
                queries.append(Query(self.rng.choice(case["questions"]), at))
        queries += [Query(self.rng.choice(self.sentences), -1) for _ in range(size // 8)]
        queries += [Query(self.rng.choice(self.locality), -1) for _ in range(size // 8)]
        queries += [Query(e, -1) for e in self.rng.sample(EMPTY, 4)]
        return facts, queries

    def _store(self, facts: list[tuple[str, str]], prompt: str, target: str) -> None:
        text = join(prompt, target)
        facts.append((text, text) if self.rng.random() < 0.25 else (prompt, text))

    def _relational(self, facts: list[tuple[str, str]], queries: list[Query], at: int) -> None:
        r, rel = self.rng, self.relations
        relation = r.choice(rel.names)
        subject, neighbour = r.choice(rel.subjects[relation]), r.choice(rel.subjects[relation])
        prompt = rel.template(relation, r)
        self._store(facts, prompt.format(subject), rel.target(relation, r))
        queries.append(Query(self._dress(rel.template(relation, r).format(subject)), at))
        if neighbour != subject:
            form = prompt if r.random() < 0.5 else rel.template(relation, r)
            queries.append(Query(self._dress(form.format(neighbour)), -1))
        if other := rel.other_relation(relation, r):
            queries.append(Query(self._dress(rel.template(other, r).format(subject)), -1))

    def _synthetic(self, facts: list[tuple[str, str]], queries: list[Query], at: int) -> None:
        r = self.rng
        entity, value, forms = r.choice(synthetic.KINDS)
        subject, near = entity(r), entity(r)
        cues = [f for f in forms if not f.endswith("?")]
        self._store(facts, synthetic.fill(r.choice(cues), subject), value(r))
        queries.append(Query(self._dress(synthetic.fill(r.choice(forms), subject)), at))
        if near != subject:
            queries.append(Query(self._dress(synthetic.fill(r.choice(forms), near)), -1))
        other = r.choice(
            [k for k in synthetic.KINDS if k[0] is entity and k[2] is not forms] or [None]
        )
        if other is not None:
            queries.append(Query(self._dress(synthetic.fill(r.choice(other[2]), subject)), -1))

    def _dress(self, query: str) -> str:
        """The unit in which a query may come: alone, after other text, as Q and A."""
        kind = self.rng.random()
        if kind < 0.12:
            words = self.rng.choice(self.sentences).split()
            return f"{' '.join(words[-self.rng.randint(3, 20) :])} {query}"
        if kind < 0.2 and query.endswith("?"):
            return f"Q: {query}\nA:"
        return query

    def samples(self, size: int) -> list[Sample]:
        """One episode, written and read; queries that read nothing are left out."""
        facts, queries = self.episode(size)
        keys = self.address.encode([cue for cue, _ in facts]).numpy()
        spec = MemorySpec(keys.shape[1], 2, "")
        rows = [Fact(cue, key, np.ones(2, np.float32), id=str(i))
                for i, ((cue, _), key) in enumerate(zip(facts, keys, strict=True))]  # fmt: skip
        readout = build_view(rows, spec).read(
            self.address.encode([q.text for q in queries]).numpy())  # fmt: skip
        found = []
        for i, (query, ids) in enumerate(zip(queries, readout.ids, strict=True)):
            if ids:
                fact = facts[int(ids[0])][1]
                match = features(readout, i, query.text, fact, self.address.sketch)
                label = float(ids[0] == str(query.fact))
                found.append(Sample(query.text, fact, torch.tensor(match), label))
        return found


def loss_of(gate: ScopeGate, samples: list[Sample]) -> Tensor:
    logits = gate.logits([s.unit for s in samples], [s.fact for s in samples],
                         torch.stack([s.match for s in samples]))  # fmt: skip
    return F.binary_cross_entropy_with_logits(logits, torch.tensor([s.label for s in samples]))


@torch.no_grad()
def scores(gate: ScopeGate, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Uncalibrated logits and labels."""
    parts = [samples[i : i + 64] for i in range(0, len(samples), 64)]
    logits = [gate.logits([s.unit for s in p], [s.fact for s in p],
                          torch.stack([s.match for s in p])) for p in parts]  # fmt: skip
    return torch.cat(logits), torch.tensor([s.label for s in samples])


def calibrate(gate: ScopeGate, samples: list[Sample]) -> None:
    """Platt scaling by L-BFGS on log loss."""
    logits, labels = scores(gate, samples)
    scale_shift = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([scale_shift], max_iter=100)

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(scale_shift[0] * logits + scale_shift[1], labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    gate.calibration.data.copy_(scale_shift.detach())


def report(gate: ScopeGate, samples: list[Sample], bins: int = 10) -> dict[str, float]:
    """Error at .5, area under the ROC curve, expected calibration error; N samples."""
    logits, labels = scores(gate, samples)
    p = torch.sigmoid(gate.calibration[0] * logits + gate.calibration[1])
    auc = (p[labels == 1][:, None] > p[labels == 0][None]).float().mean()
    which = (p * bins).long().clamp(max=bins - 1)
    gaps = [(which == b).float().mean() * (p[which == b].mean() - labels[which == b].mean()).abs()
            for b in range(bins) if (which == b).any()]  # fmt: skip
    missed = (p[labels == 1] < 0.5).float().mean()
    fired = (p[labels == 0] >= 0.5).float().mean()
    return {
        "auc": float(auc),
        "ece": float(sum(gaps)),
        "missed": float(missed),
        "fired": float(fired),
        "n": float(len(samples)),
    }


def train(gate: ScopeGate, episodes: Episodes, out: Path, steps: int) -> None:
    """Runs to `steps` of 96 samples and saves `out`/scope.pt (delta, head, calibration)."""
    moving = lora.parameters(gate.encoder.adapters) + list(gate.head.parameters())
    for parameter in moving:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(moving, lr=1e-3, weight_decay=0.01)
    pool: list[Sample] = []
    for step in range(steps):
        if len(pool) < 96:
            pool = episodes.samples(episodes.rng.choice([64, 128, 256]))
            episodes.rng.shuffle(pool)
        part, pool = pool[:96], pool[96:]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step * 4, steps * 4, 1e-3)
        loss = loss_of(gate, part)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        if step % 10 == 9:
            log(out, {"step": step + 1, "loss": loss.item()})
        if step % 50 == 49 or step == steps - 1:
            calibrate(gate, episodes.samples(256))
            log(out, {"step": step + 1} | report(gate, episodes.samples(256)))
            state = {"delta": lora.state(gate.encoder.adapters), "head": gate.head.state_dict(),
                     "calibration": gate.calibration.data}  # fmt: skip
            torch.save(state, out / "scope.pt")
