"""Trains and calibrates the scope gate on real reads.

Each episode writes facts into a memory under their trained addresses and asks: for a stored fact
in other words (label 1 if the row read first is that fact), for the same relation of another
subject, for another relation of the same subject, with the bare subject, for a near-miss entity,
for something unrelated, or with a unit that holds no question at all (label 0). Targets are
anything, so that their meaning cannot be used; some are what a suppressed cue is stored with. Half
of the episodes have a document's sentences among the facts. Calibration (Platt) is fitted on fresh
episodes; expected calibration error is reported on others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memory_store.store import Fact, Float32, MemorySpec
from memory_store.view import build_view
from service.engine.protocol import SUPPRESSED
from service.model import lora
from service.model.address import AddressEncoder
from service.model.scope import ScopeGate, features
from training import synthetic
from training.data import (
    Relations,
    fold,
    join,
    running_text,
    sentences,
    squad,
    zsre,
)
from training.loop import Group, Hardware, Run, State
from training.makers import near

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
BARE = ("{}", "{} is", "Tell me about {}", "Who is {}?", "I like {}.", "{}, who", "About {}:")
# What may be asked of anything and is none of the relations; evaluation asks others.
ATTRIBUTES = (
    "The age of {} is", "The size of {} is", "How big is {}?", "How old is {}?",
    "The number of inhabitants of {} is", "How many people live in {}?", "The birthday of {} is",
    "On what day was {} born?", "{} was released on the day", "The website of {} is",
    "The phone number of {} is", "The height of {} is", "{} weighs", "{} costs",
    "The price of {} is", "How much is {}?", "{} is famous for", "{} is married to",
    "The children of {} are", "The motto of {} is", "The colour of {} is",
    "{} won an award for", "The abbreviation of {} is", "How many copies of {} were sold?",
    "The number of visitors of {} is", "The length of {} is", "The weather in {} is",
    "The best thing about {} is",
)  # fmt: skip
YEARS = (  # likest to where something was made, or by whom
    "{} was established in the year", "{} was formed in the year", "{} was started in the year",
    "{} was created in the year", "{} was developed in the year", "{} was released in the year",
    "{} was opened in the year", "{} originated in the year", "{} first appeared in the year",
    "{} came out in the year", "{} dates from the year", "{} closed in the year",
    "{} died in the year", "In which year was {} made?", "What year did {} start?",
    "When was {} created?", "When did {} begin?", "The year in which {} began is",
)  # fmt: skip
LONGEST = 140  # characters of a sentence that one latent holds
SHELF = 800  # sentences of documents in an episode that has them
SIZES = (4, 16, 48, 64, 128)  # facts of an episode
BATCH = 64
TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    about: str  # relation and entity that it asks for; "": nothing that anybody stores


@dataclass(frozen=True, slots=True)
class Row:
    """A stored fact: what it is about, its cue, its text."""

    about: str
    cue: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    unit: str
    fact: str
    match: Tensor  # (FEATURES,)
    label: float


class Episodes:
    """Stored facts and queries. Two may be about the same thing by chance: `about` decides."""

    def __init__(self, data: Path, address: AddressEncoder, seed: int) -> None:
        self.rng, self.relations, self.address = random.Random(seed), Relations(data), address
        self.sentences = sentences(running_text(data))
        self.questions = {s: question for s, question, _ in squad(data) if len(s) <= LONGEST}
        short = (s for s in self.sentences if len(s) <= LONGEST)
        self.shelf = [Row(s, s, s) for s in dict.fromkeys([*self.questions, *short])]
        self.zsre = zsre(data, train=True)
        self.pokemqa = [c for c in self.relations.pokemqa if c["questions"]]
        held = self.relations.held_out.prompts
        around = [case["locality_prompt"] for case in self.relations.counterfact]
        self.locality = [prompt for prompt in around if fold(prompt) not in held]

    def episode(self, size: int) -> tuple[list[Row], list[Query]]:
        facts: list[Row] = []
        queries: list[Query] = []
        while len(facts) < size:
            kind = self.rng.random()
            if kind < 0.4:
                self._relational(facts, queries)
            elif kind < 0.85:
                self._synthetic(facts, queries)
            elif kind < 0.88:
                self._templated(facts, queries)
            elif kind < 0.94:
                case = self.rng.choice(self.zsre)
                facts.append(Row(case["src"], case["src"], join(case["src"], case["alt"])))
                queries += [Query(case["rephrase"], case["src"]), self._unrelated()]
            else:
                case = self.rng.choice(self.pokemqa)
                facts.append(Row(case["edit"], case["edit"], case["edit"]))
                queries.append(Query(self.rng.choice(case["questions"]), case["edit"]))
        few = min(size, 32) // 8 + 1
        queries += [Query(self.rng.choice(self.sentences), "") for _ in range(few)]
        queries += [Query(self.rng.choice(self.locality), "") for _ in range(few)]
        queries += [Query(e, "") for e in self.rng.sample(EMPTY, min(4, few))]
        return facts, queries

    def _row(self, about: str, prompt: str, target: str) -> Row:
        """The cue is the prompt, or a fact given as text, in this word order or turned round."""
        r = self.rng
        if r.random() < 0.15:
            return Row(about, prompt, join(prompt, SUPPRESSED))
        text = join(prompt, target)
        if r.random() < 0.75:
            return Row(about, prompt, text)
        text = (synthetic.turned(prompt, target) if r.random() < 0.5 else None) or text
        text += r.choice(["", "."])
        return Row(about, text, text)

    def _target(self, likely: str) -> str:
        """A target of the fact's own kind, or anything at all: its meaning tells nothing."""
        r = self.rng
        if r.random() < 0.55:
            return likely
        anything = r.choice(synthetic.KINDS)[1](r)
        return anything if r.random() < 0.6 else r.choice(self.relations.all_objects)

    def _relational(self, facts: list[Row], queries: list[Query]) -> None:
        r, rel = self.rng, self.relations
        relation = r.choice(rel.names)
        subject, neighbour = r.choice(rel.subjects[relation]), r.choice(rel.subjects[relation])
        about, prompt = f"{relation} {subject}", rel.template(relation, r)
        target = self._target(rel.target(relation, r))
        if rel.statements.get(relation) and r.random() < 0.15:
            pattern = r.choice(sorted(rel.statements[relation]))
            text = pattern.format(subject).replace("[Y]", target)
            facts.append(Row(about, text, text))
        else:
            facts.append(self._row(about, prompt.format(subject), target))
        queries.append(Query(self._dress(rel.template(relation, r).format(subject)), about))
        form = prompt if r.random() < 0.5 else rel.template(relation, r)
        queries.append(Query(self._dress(form.format(neighbour)), f"{relation} {neighbour}"))
        if other := rel.other_relation(relation, r):
            query = self._dress(rel.template(other, r).format(subject))
            queries.append(Query(query, f"{other} {subject}"))
        for forms in (ATTRIBUTES, YEARS):
            if r.random() < 0.4:
                queries.append(Query(self._dress(r.choice(forms).format(subject)), ""))
        if r.random() < 0.15:
            queries.append(Query(r.choice(BARE).format(subject), ""))

    def _synthetic(self, facts: list[Row], queries: list[Query]) -> None:
        """A fact, asked for; the likest of some strangers; other facts of the same entity."""
        r = self.rng
        entity, value, forms = kind = r.choice(synthetic.KINDS)
        subject, cue = entity(r), r.choice(synthetic.cues(forms))
        target = self._target(value(r))
        facts.append(self._row(f"{forms[0]} {subject}", synthetic.fill(cue, subject), target))
        for form in r.sample(forms, 2):
            self._ask(queries, forms, subject, form)
        for tries in r.sample((1, 6, 12), 2):
            if stranger := near(entity, subject, r, tries):
                self._ask(queries, forms, stranger, cue if r.random() < 0.5 else r.choice(forms))
        others = [k for k in synthetic.KINDS if k[0] is entity and k is not kind]
        for _, other_value, other in r.sample(others, min(3, len(others))):
            self._ask(queries, other, subject, other[0] if r.random() < 0.5 else r.choice(other))
            if r.random() < 0.2:
                cue = synthetic.fill(r.choice(synthetic.cues(other)), subject)
                facts.append(self._row(f"{other[0]} {subject}", cue, other_value(r)))
        if r.random() < 0.1:
            queries.append(Query(synthetic.fill(r.choice(BARE).replace("{}", "{s}"), subject), ""))

    def _ask(self, queries: list[Query], forms: Sequence[str], subject: str, form: str) -> None:
        text = self._dress(synthetic.fill(form, subject))
        queries.append(Query(text, f"{forms[0]} {subject}"))

    def _templated(self, facts: list[Row], queries: list[Query]) -> None:
        """Many facts in one wording, and entities of it that were never stored."""
        r = self.rng
        entity, value, forms = r.choice(synthetic.KINDS)
        cue = r.choice(synthetic.cues(forms))
        entities = list(dict.fromkeys(entity(r) for _ in range(10)))
        for subject in entities:
            prompt = synthetic.fill(cue, subject)
            facts.append(Row(f"{forms[0]} {subject}", prompt, join(prompt, value(r))))
            self._ask(queries, forms, subject, r.choice(forms))
        for stranger in sorted({near(entity, one, r) for one in entities[:8]} - {""}):
            self._ask(queries, forms, stranger, r.choice([cue, r.choice(forms)]))

    def _dress(self, query: str) -> str:
        """The unit in which a query may come: alone, after other text, as Q and A."""
        kind = self.rng.random()
        if kind > 0.93:
            return self.rng.choice([str.upper, str.lower, str.lower])(query)
        if kind < 0.2:
            words = self.rng.choice(self.sentences).split()
            if kind < 0.08:
                return f"Category:{' '.join(words[: self.rng.randint(1, 5)]).title()} {query}"
            return f"{' '.join(words[-self.rng.randint(3, 20) :])} {query}"
        if kind < 0.28 and query.endswith("?"):
            return f"Q: {query}\nA:"
        return query

    def _unrelated(self) -> Query:
        """A question of common knowledge, which nobody stored."""
        question = self.rng.choice(self.zsre)["loc"].removeprefix("nq question: ")
        return Query(question + self.rng.choice(["?", "?", ""]), "")

    @cached_property
    def _shelf_keys(self) -> Float32:
        return self.address.encode([row.cue for row in self.shelf]).numpy()

    def _document(self, facts: list[Row], queries: list[Query]) -> Float32:
        """Sentences, as a document brings them, beside the facts: their addresses. Some are asked
        for, and so is much that they do not say."""
        r = self.rng
        chosen = r.sample(range(len(self.shelf)), min(SHELF, len(self.shelf)))
        rows = [self.shelf[i] for i in chosen]
        facts += rows
        here = [row.about for row in rows if row.about in self.questions]
        asked = [*here[:16], *r.sample(sorted(self.questions), min(8, len(self.questions)))]
        queries += [Query(self._dress(self.questions[about]), about) for about in asked]
        queries += [self._unrelated() for _ in range(40)]
        queries += [Query(self._dress(r.choice(self.locality)), "") for _ in range(8)]
        return self._shelf_keys[chosen]

    def samples(self, size: int) -> list[Sample]:
        """One episode, written and read; queries that read nothing are left out."""
        facts, queries = self.episode(size)
        keys = self.address.encode([row.cue for row in facts]).numpy()
        if self.rng.random() < 0.5:
            keys = np.concatenate([keys, self._document(facts, queries)])
        spec = MemorySpec(keys.shape[1], 2, "")
        rows = [Fact(row.cue, key, np.ones(2, np.float32), id=str(i))
                for i, (row, key) in enumerate(zip(facts, keys, strict=True))]  # fmt: skip
        readout = build_view(rows, spec).read(
            self.address.encode([q.text for q in queries]).numpy())  # fmt: skip
        found = []
        for i, (query, ids) in enumerate(zip(queries, readout.ids, strict=True)):
            if ids:
                row = facts[int(ids[0])]
                match = features(readout, i, query.text, row.text, self.address.sketch)
                label = float(row.about == query.about)
                found.append(Sample(query.text, row.text, torch.tensor(match), label))
        return found


def loss_of(gate: ScopeGate, samples: list[Sample]) -> Tensor:
    logits, labels = _judged(gate, samples)
    return F.binary_cross_entropy_with_logits(logits, labels)


def _judged(gate: ScopeGate, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Uncalibrated logits and labels; samples of like length share a batch."""
    ordered = sorted(samples, key=lambda s: len(s.unit) + len(s.fact))
    parts = [ordered[i : i + TOGETHER] for i in range(0, len(ordered), TOGETHER)]
    logits = [gate.logits([s.unit for s in p], [s.fact for s in p],
                          torch.stack([s.match for s in p])) for p in parts]  # fmt: skip
    labels = torch.tensor([s.label for s in ordered])
    found = torch.cat(logits).float()
    return found, labels.to(found.device)


@torch.no_grad()
def scores(gate: ScopeGate, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Uncalibrated logits and labels, on the CPU."""
    logits, labels = _judged(gate, samples)
    return logits.cpu(), labels.cpu()


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
    scale, shift = gate.calibration.tolist()
    p = torch.sigmoid(scale * logits + shift)
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


def state(gate: ScopeGate) -> State:
    head = {f"head.{name}": tensor for name, tensor in gate.head.state_dict().items()}
    return {**lora.state(gate.encoder.adapters), **head, "calibration": gate.calibration.data}


def load(gate: ScopeGate, saved: State) -> None:
    """A head for other features than today's is not taken over: it starts anew."""
    delta = {name: t for name, t in saved.items() if name.startswith(lora.PREFIX)}
    lora.load(gate.encoder.adapters, delta)
    rest = {k: v for k, v in saved.items() if k not in delta}
    if rest["head.0.weight"].shape == gate.head[0].weight.shape:
        gate.load_state_dict(rest, strict=False)


def train(
    gate: ScopeGate, episodes: Episodes, out: Path, steps: int, hardware: Hardware, seed: int = 0
) -> None:
    groups = [Group(lora.parameters(gate.encoder.adapters), 5e-4),
              Group(list(gate.head.parameters()), 4e-3)]  # fmt: skip
    run = Run(out, groups, steps, hardware, decay=0.01)
    if saved := run.resume():
        load(gate, saved)
    episodes.rng.seed(seed + run.step)
    pool: list[Sample] = []

    def batch() -> list[Sample]:
        while len(pool) < BATCH:
            fresh = [s for _ in range(3) for s in episodes.samples(episodes.rng.choice(SIZES))]
            pool.extend(fresh)
            episodes.rng.shuffle(pool)
        taken = pool[:BATCH]
        del pool[:BATCH]
        return taken

    for _ in run:
        loss = run.descend(lambda: loss_of(gate, batch()))
        if run.due(10):
            run.log(loss=loss)
        if run.due(100):
            calibrate(gate, [s for size in SIZES for s in episodes.samples(size)])
            run.log(**report(gate, [s for size in SIZES for s in episodes.samples(size)]))
            run.save(state(gate))
