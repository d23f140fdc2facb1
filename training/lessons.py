"""The episodes that the scope gate learns from: a memory, and what is asked beside it.

Each episode writes facts into a memory under their trained addresses and asks: for a stored fact
in other words (label 1 if the row read first is that fact), for the same relation of another
subject, for other relations of the same subject, with the bare subject, for a near-miss entity,
for something unrelated, or with a unit that holds no question at all (label 0). Targets are
anything, so that their meaning cannot be used; some are what a suppressed cue is stored with. Half
of the episodes have a document's sentences among the facts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from memory_store.store import Fact, Float32, MemorySpec
from memory_store.view import build_view
from service.engine.protocol import SUPPRESSED
from service.model.address import AddressEncoder
from service.model.scope import features, units
from training import synthetic
from training.data import (
    Relations,
    fold,
    join,
    running_text,
    sentences,
    squad,
    stems,
    zsre,
)
from training.held_out import Case
from training.makers import near
from training.relations import same_answer
from training.wordings import ATTRIBUTES, BARE, EMPTY, LEADS, YEARS

LONGEST = 140  # characters of a sentence that one latent holds
SHELVES = (200, 800, 2400, 4800)  # sentences of documents in an episode that has them
POOL = 1024  # samples that a batch is drawn from
SIZES = (4, 16, 48, 64, 128)  # facts of an episode


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    about: str  # relation and entity that it asks for; "": nothing that anybody stores
    case: int = 0  # the held-out case that it is a prompt of


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
    match: tuple[float, ...]  # FEATURES numbers
    label: float
    case: int = 0  # its query's


class Episodes:
    """Stored facts and queries. Two may be about the same thing by chance: `about` decides."""

    def __init__(self, data: Path, address: AddressEncoder, seed: int) -> None:
        self.rng, self.relations, self.address = random.Random(seed), Relations(data), address
        self.sentences = sentences(running_text(data))
        self.questions = {s: question for s, question, _ in squad(data) if len(s) <= LONGEST}
        short = (s for s in self.sentences if len(s) <= LONGEST)
        self.shelf = [Row(s, s, s) for s in dict.fromkeys([*self.questions, *short])]
        self.zsre = zsre(data, train=True)
        self.edits = self.relations.edits
        self.asked = [question for _, question, _ in squad(data)]
        held = self.relations.held_out.prompts
        around = [case["locality_prompt"] for case in self.relations.counterfact]
        self.locality = [prompt for prompt in around if fold(prompt) not in held]

    def episode(self, size: int) -> tuple[list[Row], list[Query]]:
        facts: list[Row] = []
        queries: list[Query] = []
        while len(facts) < size:
            kind = self.rng.random()
            if kind < 0.35:
                self._relational(facts, queries)
            elif kind < 0.78:
                self._synthetic(facts, queries)
            elif kind < 0.81:
                self._templated(facts, queries)
            elif kind < 0.86:
                case = self.rng.choice(self.zsre)
                facts.append(Row(case["src"], case["src"], join(case["src"], case["alt"])))
                queries += [Query(case["rephrase"], case["src"]), self._unrelated()]
            else:
                self._encyclopedic(facts, queries)
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
        subject = r.choice(rel.subjects[relation])
        neighbour = rel.namesake(relation, subject, r) if r.random() < 0.5 else None
        neighbour = neighbour or r.choice(rel.subjects[relation])
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
        for _ in range(2):
            if other := rel.other_relation(relation, r):
                query = self._dress(rel.template(other, r).format(subject))
                queries.append(Query(query, f"{other} {subject}"))
        if forms := self.foreign(relation):
            self._ask(queries, forms, subject, r.choice(forms))
        for forms in (ATTRIBUTES, YEARS):
            if r.random() < 0.4:
                queries.append(Query(self._dress(r.choice(forms).format(subject)), ""))
        if r.random() < 0.4:
            queries.append(Query(r.choice(BARE).format(subject), ""))

    def foreign(self, relation: str) -> tuple[str, ...] | None:
        """The wordings of a generated kind that asks for something else than the relation does."""
        ours = self.relations.vocabulary(relation)
        for _ in range(4):
            _, _, forms = self.rng.choice(synthetic.KINDS)
            if ours.isdisjoint(stem for form in forms for stem in stems(form)):
                return forms
        return None

    def _encyclopedic(self, facts: list[Row], queries: list[Query]) -> None:
        """A statement of PokeMQA; its questions, those of its subject and of another one's."""
        r = self.rng
        relation = r.choice(sorted(self.edits))
        edit, stranger = r.choice(self.edits[relation]), r.choice(self.edits[relation])
        about = f"{relation} {edit.subject}"
        facts.append(Row(about, edit.text, edit.text))
        for question in r.choices(edit.questions, k=2):
            queries.append(Query(self._dress(question), about))
        question = self._dress(r.choice(stranger.questions))
        queries.append(Query(question, f"{relation} {stranger.subject}"))
        for other in r.sample(sorted(self.edits), min(4, len(self.edits))):
            if not same_answer(relation, other):
                wording = r.choice(r.choice(self.edits[other]).wordings)
                query = self._dress(wording.replace("{}", edit.subject))
                queries.append(Query(query, f"{other} {edit.subject}"))
        if forms := self.foreign(relation):
            self._ask(queries, forms, edit.subject, r.choice(forms))

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
        if r.random() < 0.3:
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
        if kind < 0.36 and query.endswith("?"):
            return f"{query} {self.rng.choice(LEADS)}"
        if kind < 0.4:
            words = self.rng.choice(self.sentences).split()[: self.rng.randint(1, 6)]
            return f"{' '.join(words)}{self.rng.choice([':', '.', chr(10), ' -', ''])} {query}"
        return query

    def _unrelated(self) -> Query:
        """A question of common knowledge, which nobody stored."""
        question = self.rng.choice(self.zsre)["loc"].removeprefix("nq question: ")
        return Query(question + self.rng.choice(["?", "?", ""]), "")

    def _stranger(self) -> Query:
        """A question about anything at all; it may be stored by chance."""
        r, rel = self.rng, self.relations
        kind = r.random()
        if kind < 0.4:
            relation = r.choice(sorted(self.edits))
            edit = r.choice(self.edits[relation])
            return Query(self._dress(r.choice(edit.questions)), f"{relation} {edit.subject}")
        if kind < 0.8:
            relation = r.choice(rel.names)
            subject = r.choice(rel.subjects[relation])
            query = rel.template(relation, r).format(subject)
            return Query(self._dress(query), f"{relation} {subject}")
        entity, _, forms = r.choice(synthetic.KINDS)
        subject = entity(r)
        query = synthetic.fill(r.choice(forms), subject)
        return Query(self._dress(query), f"{forms[0]} {subject}")

    @cached_property
    def _shelf_keys(self) -> Float32:
        return self.address.encode([row.cue for row in self.shelf]).numpy()

    def _document(self, facts: list[Row], queries: list[Query]) -> Float32:
        """Sentences, as a document brings them, beside the facts: their addresses. Some are asked
        for, and so is much that they do not say."""
        r = self.rng
        chosen = r.sample(range(len(self.shelf)), min(r.choice(SHELVES), len(self.shelf)))
        rows = [self.shelf[i] for i in chosen]
        facts += rows
        here = [row.about for row in rows if row.about in self.questions]
        asked = [*r.sample(here, min(24, len(here))),
                 *r.sample(sorted(self.questions), min(12, len(self.questions)))]  # fmt: skip
        queries += [Query(self._dress(self.questions[about]), about) for about in asked]
        there = {self.questions[about] for about in here}
        others = [q for q in r.sample(self.asked, min(40, len(self.asked))) if q not in there]
        queries += [Query(self._dress(question), "") for question in others]
        queries += [self._unrelated() for _ in range(40)]
        queries += [self._stranger() for _ in range(24)]
        queries += [Query(self._dress(r.choice(self.locality)), "") for _ in range(8)]
        return self._shelf_keys[chosen]

    def samples(self, size: int) -> list[Sample]:
        """One episode, written and read."""
        facts, queries = self.episode(size)
        keys = self.address.encode([row.cue for row in facts]).numpy()
        if self.rng.random() < 0.5:
            keys = np.concatenate([keys, self._document(facts, queries)])
        return judged(self.address, facts, keys, queries)


def judged(
    address: AddressEncoder, facts: Sequence[Row], keys: Float32, queries: Sequence[Query]
) -> list[Sample]:
    """Facts written under `keys` (n, d), and read; queries that read nothing are left out."""
    spec = MemorySpec(keys.shape[1], 2, "")
    rows = [Fact(row.cue, key, np.ones(2, np.float32), id=str(i))
            for i, (row, key) in enumerate(zip(facts, keys, strict=True))]  # fmt: skip
    readout = build_view(rows, spec).read(address.encode([q.text for q in queries]).numpy())
    found = []
    for i, (query, ids) in enumerate(zip(queries, readout.ids, strict=True)):
        if ids:
            row = facts[int(ids[0])]
            match = tuple(features(readout, i, query.text, row.text, address.sketch))
            label = float(row.about == query.about)
            found.append(Sample(query.text, row.text, match, label, query.case))
    return found


def held_out_samples(address: AddressEncoder, memories: Iterable[Sequence[Case]]) -> list[Sample]:
    """Reads of memories of cases whose subjects or kinds no episode has."""
    return [sample for cases in memories for sample in _of_memory(address, cases)]


def _of_memory(address: AddressEncoder, cases: Sequence[Case]) -> list[Sample]:
    """Every unit of a prompt is a query."""
    facts = [Row(case.cue, case.key, case.fact) for case in cases]
    asked = [Query(u, case.cue, i) for i, case in enumerate(cases)
             for p in case.paraphrases for u in units(p)]  # fmt: skip
    beside = [Query(u, "", i) for i, case in enumerate(cases) for ps in case.beside.values()
              for p in ps for u in units(p)]  # fmt: skip
    keys = address.encode([row.cue for row in facts]).numpy()
    return judged(address, facts, keys, [*asked, *beside])


class Batches(IterableDataset[list[Sample]]):
    """Endless batches of `size` samples; every worker makes episodes of its own."""

    def __init__(self, episodes: Callable[[int], Episodes], size: int, seed: int) -> None:
        self.episodes, self.size, self.seed = episodes, size, seed

    def __iter__(self) -> Iterator[list[Sample]]:
        worker = get_worker_info()
        episodes = self.episodes(self.seed + 1_000_003 * (worker.id if worker else 0))
        pool: list[Sample] = []
        while True:
            while len(pool) < max(self.size, POOL):
                pool += episodes.samples(episodes.rng.choice(SIZES))
            episodes.rng.shuffle(pool)
            yield pool[: self.size]
            del pool[: self.size]
