"""What the checkpoint is trained on: facts, the ways to ask for them, and running text.

Everything comes from a folder of public sets (CounterFact, zsRE, PARAREL x T-REx, LRE, PokeMQA,
SQuAD, WikiText-2; training/recipe.md names them) plus facts of the kinds that applications write
(synthetic.py). `HeldOut` is what evaluation asks about (CounterFact's val and full_dev, the tail
of zsRE), and is left out of all of it.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from service.model.address import words
from training.relations import QUESTIONS, same_answer

COMMON = frozenset("which what where when whose does from their that with this name".split())
ZSRE_TRAIN = 800  # cases of train_1k.json that training may see; the rest is for evaluation


@dataclass(frozen=True, slots=True)
class Ask:
    """A fact and one way to be asked for it: `query` is completed by ` target`."""

    prompt: str
    target: str
    query: str


def load_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def load_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def join(prompt: str, target: str) -> str:
    return f"{prompt} {target}"


def fold(name: str) -> str:
    return " ".join(name.casefold().split())


class HeldOut:
    """What evaluation asks about."""

    def __init__(self, data: Path) -> None:
        full = load_json(data / "counterfact" / "full_dev.json")
        flat = load_json(data / "counterfact" / "val.json")
        names = [case["requested_rewrite"]["subject"] for case in full]
        names += [case["subject"] for case in [*flat, *zsre(data, train=False)]]
        self.subjects = {fold(name) for name in names}
        around = [prompt for case in full for prompt in case["neighborhood_prompts"]]
        self.prompts = {fold(p) for p in [*around, *(case["locality_prompt"] for case in flat)]}
        self._names = {_words(name) for name in names}
        self._lengths = sorted({len(name) for name in self._names})

    def named(self, text: str) -> bool:
        """One of the subjects stands in the text."""
        words = _words(text)
        spans = (words[i : i + n] for n in self._lengths for i in range(len(words) - n + 1))
        return not self._names.isdisjoint(spans)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


@dataclass(frozen=True, slots=True)
class Edit:
    """A statement of PokeMQA, the subject that its questions name, and their wordings, with `{}`
    for the subject."""

    text: str
    subject: str
    wordings: tuple[str, ...]

    @property
    def questions(self) -> list[str]:
        return [wording.replace("{}", self.subject) for wording in self.wordings]

    @classmethod
    def of(cls, text: str, questions: Sequence[str]) -> Edit | None:
        """The longest name in the statement that all questions have; None where there is none."""
        words, have = text.split(), [f" {' '.join(_words(question))} " for question in questions]
        for length in range(len(words), 0, -1):
            for start in range(len(words) - length + 1):
                span = " ".join(words[start : start + length]).removeprefix("of ")
                named = f" {' '.join(_words(span))} "
                if span[:1].isupper() and all(named in one for one in have):
                    wordings = tuple(q.replace(span, "{}") for q in questions)
                    return cls(text, span, wordings) if all("{}" in w for w in wordings) else None
        return None


def _objects(edits: Sequence[Edit]) -> Iterator[tuple[Edit, str]]:
    """Edits of one relation, with what their statements say of the subject."""
    after = [edit.text.partition(edit.subject)[2].split() for edit in edits]
    shared: list[str] = []
    while True:
        n = len(shared)
        following = Counter(w[n] for w in after if len(w) > n and w[:n] == shared)
        word, count = max(following.items(), key=lambda one: one[1], default=("", 0))
        if count < 0.8 * len(edits):
            break
        shared.append(word)
    n = len(shared)
    for edit, rest in zip(edits, after, strict=True):
        if shared and rest[:n] == shared and len(rest) > n:
            yield edit, " ".join(rest[n:])


def stems(text: str) -> set[str]:
    """The first five letters of the longer words that say something."""
    return {word[:5] for word in _words(text) if len(word) > 3} - COMMON


class Relations:
    """Subjects, objects and templates by Wikidata relation, without the held-out subjects.

    Templates are completion prompts with `{}` for the subject: PARAREL's that end in the object,
    CounterFact's own (their relation is a majority vote of the T-REx facts behind them), LRE's,
    and the questions of relations.py.
    """

    def __init__(self, data: Path) -> None:
        self.data, self.held_out = data, HeldOut(data)
        self.subjects: dict[str, list[str]] = defaultdict(list)
        self.objects: dict[str, list[str]] = defaultdict(list)
        self.templates: dict[str, set[str]] = defaultdict(set)
        self.statements: dict[str, set[str]] = defaultdict(set)  # with {} and [Y], any order
        self._relation_of: dict[tuple[str, str], str] = {}
        self._read_pararel()
        self._read_counterfact()
        self._read_lre()
        for relation, questions in QUESTIONS.items():
            self.templates[relation].update(questions)

    def _add(self, relation: str, subject: str, obj: str) -> None:
        self.objects[relation].append(obj)
        if fold(subject) not in self.held_out.subjects:
            self.subjects[relation].append(subject)

    def _read_pararel(self) -> None:
        folder = self.data / "pararel"
        for path in sorted((folder / "patterns").glob("*.jsonl")):
            relation = path.stem
            for row in load_lines(path):
                pattern = " ".join(row["pattern"].replace(" .", ".").split())
                self.statements[relation].add(pattern.replace("[X]", "{}"))
                if match := re.fullmatch(r"(.*\[X\].*) \[Y\]\.?", pattern):
                    self.templates[relation].add(match[1].replace("[X]", "{}"))
            facts = folder / "trex_lms_vocab" / path.name
            for row in load_lines(facts) if facts.exists() else []:
                self._add(relation, row["sub_label"], row["obj_label"])
                self._relation_of[row["sub_label"], row["obj_label"]] = relation

    @cached_property
    def counterfact(self) -> list[dict[str, str]]:
        """CounterFact's training cases whose subjects are not held out."""
        cases = load_json(self.data / "counterfact" / "train.json")
        return [c for c in cases if fold(c["subject"]) not in self.held_out.subjects]

    @cached_property
    def pokemqa(self) -> list[dict[str, Any]]:
        """PokeMQA's statements of edits that name no held-out subject, and the questions for them,
        where there are any."""
        cases = load_json(self.data / "scope" / "edits_with_questions.json")
        return [case for case in cases if not self.held_out.named(case["edit"])]

    @cached_property
    def edits(self) -> dict[str, list[Edit]]:
        """PokeMQA's edits by relation, which is the wording of the first question; rare relations
        are left out."""
        found: dict[str, list[Edit]] = defaultdict(list)
        for case in self.pokemqa:
            if edit := Edit.of(case["edit"], case["questions"]):
                found[edit.wordings[0]].append(edit)
        least = max(map(len, found.values()), default=0) // 20
        return {name: edits for name, edits in found.items() if len(edits) >= least}

    @cached_property
    def edit_asks(self) -> list[Ask]:
        """Those edits as a statement and its questions: `prompt` is the statement without the
        object, which is what follows the words that nearly all of a relation have in common."""
        return [Ask(edit.text.removesuffix(f" {target}"), target, question)
                for edits in self.edits.values() for edit, target in _objects(edits)
                for question in edit.questions]  # fmt: skip

    @cache  # noqa: B019
    def vocabulary(self, relation: str) -> frozenset[str]:
        """Stems of the words in which a relation, or one that may share its answer, is put."""
        named = {name: [*self.templates[name], *self.statements[name]] for name in self.names}
        named |= {name: [w for e in edits[:20] for w in e.wordings]
                  for name, edits in self.edits.items()}  # fmt: skip
        return frozenset(stem for name, forms in named.items() if same_answer(relation, name)
                         for form in forms for stem in stems(form))  # fmt: skip

    def _read_counterfact(self) -> None:
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        cases: dict[str, list[dict[str, str]]] = defaultdict(list)
        for case in self.counterfact:
            template = case["prompt"].replace(case["subject"], "{}", 1)
            if relation := self._relation_of.get((case["subject"], case["ground_truth"])):
                votes[template][relation] += 1
            cases[template].append(case)
        for template, count in votes.items():
            relation, n = count.most_common(1)[0]
            if n >= 3 and "{}" in template:
                self.templates[relation].add(template)
                for case in cases[template]:
                    self._add(relation, case["subject"], case["ground_truth"])

    def _read_lre(self) -> None:
        for path in sorted((self.data / "lre_relations" / "factual").glob("*.json")):
            raw = load_json(path)
            relation = f"lre:{path.stem}"
            self.templates[relation].update(raw["prompt_templates"] + raw["prompt_templates_zs"])
            for sample in raw["samples"]:
                self._add(relation, sample["subject"], sample["object"])

    @cached_property
    def names(self) -> list[str]:
        return sorted(name for name, subjects in self.subjects.items() if subjects)

    @cached_property
    def _sharing(self) -> dict[tuple[str, str], list[str]]:
        """(relation, word) → its subjects that have the word in their names."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for relation in self.names:
            for subject in dict.fromkeys(self.subjects[relation]):
                for word in set(words(subject)):
                    found[relation, word].append(subject)
        return found

    def namesake(self, relation: str, subject: str, rng: random.Random) -> str | None:
        """Another subject of the relation that shares a word of its name ("Windows 95" for
        "Windows 7"); None if there is none."""
        ours = words(subject)
        shared = [self._sharing[relation, word] for word in sorted(set(ours))]
        others = [[name for name in found if words(name) != ours] for found in shared]
        return rng.choice(rng.choice(some)) if (some := [o for o in others if o]) else None

    @cached_property
    def all_objects(self) -> list[str]:
        return sorted({o for objects in self.objects.values() for o in objects})

    @cached_property
    def _kin(self) -> dict[str, list[str]]:
        """Object → relations that it answers."""
        return _turned(self.objects)

    def rival(self, target: str, rng: random.Random) -> str | None:
        """Another answer to a question that `target` answers; None if no relation has it."""
        if target not in self._kin:
            return None
        return rng.choice(self.objects[rng.choice(self._kin[target])])

    @cached_property
    def _template_list(self) -> dict[str, list[str]]:
        return {relation: sorted(found) for relation, found in self.templates.items()}

    def template(self, relation: str, rng: random.Random) -> str:
        return rng.choice(self._template_list[relation])

    def target(self, relation: str, rng: random.Random) -> str:
        """A counterfactual object: mostly of the relation's own kind, at times any name."""
        own = rng.random() < 0.7
        return rng.choice(self.objects[relation] if own else self.all_objects)

    def ask(self, rng: random.Random) -> Ask:
        """A counterfactual fact under one template, asked for under another."""
        relation = rng.choice(self.names)
        subject = rng.choice(self.subjects[relation])
        prompt, query = self.template(relation, rng), self.template(relation, rng)
        return Ask(prompt.format(subject), self.target(relation, rng), query.format(subject))

    def statement(self, rng: random.Random) -> Ask:
        """A counterfactual fact as a sentence of any word order (`prompt`), and a query for it."""
        relation = rng.choice(self.stated)
        subject, target = rng.choice(self.subjects[relation]), self.target(relation, rng)
        pattern = rng.choice(self._statement_list[relation])
        text = pattern.format(subject).replace("[Y]", target)
        return Ask(text, target, self.template(relation, rng).format(subject))

    @cached_property
    def stated(self) -> list[str]:
        """Relations that have statements."""
        return [name for name in self.names if self.statements.get(name)]

    @cached_property
    def _statement_list(self) -> dict[str, list[str]]:
        return {relation: sorted(found) for relation, found in self.statements.items()}

    def other_relation(self, relation: str, rng: random.Random) -> str | None:
        """A relation that does not share the answer of this one."""
        for _ in range(8):
            other = rng.choice(self.names)
            if not same_answer(relation, other):
                return other
        return None


def zsre(data: Path, *, train: bool) -> list[dict[str, Any]]:
    """zsRE in MEND's schema: training cases, or those kept for evaluation."""
    cases: list[dict[str, Any]] = load_json(data / "zsre" / "train_1k.json")
    kept = {fold(c["subject"]) for c in cases[ZSRE_TRAIN:]}
    if not train:
        return cases[ZSRE_TRAIN:]
    return [c for c in cases[:ZSRE_TRAIN] if fold(c["subject"]) not in kept]


def squad(data: Path) -> list[tuple[str, str, str]]:
    """(sentence, question, answer): the sentence of the paragraph that holds the answer."""
    found = []
    for case in load_json(data / "squad" / "sample.json"):
        context, (start, end) = case["context"], case["answer_span"] or (0, 0)
        left = max(context.rfind(". ", 0, start) + 2, 0) if ". " in context[:start] else 0
        right = context.find(". ", end)
        sentence = context[left : right + 1 if right >= 0 else len(context)].strip()
        if end > start and case["answer"] in sentence:
            found.append((sentence, case["question"], case["answer"]))
    return found


def running_text(data: Path) -> list[str]:
    """Lines of WikiText-2 (its first nine tenths) and SQuAD paragraphs."""
    lines = _wikitext(data)
    contexts = {case["context"] for case in load_json(data / "squad" / "sample.json")}
    return lines[: len(lines) * 9 // 10] + sorted(contexts)


def unseen_text(data: Path) -> list[str]:
    """Lines of the last tenth of WikiText-2."""
    lines = _wikitext(data)
    return lines[len(lines) * 9 // 10 :]


def _turned(names: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Relation → names, as name → its relations."""
    found: dict[str, set[str]] = defaultdict(set)
    for relation, those in names.items():
        for name in those:
            found[name].add(relation)
    return {name: sorted(relations) for name, relations in found.items()}


def _wikitext(data: Path) -> list[str]:
    raw = (data / "text" / "wikitext2_valid.txt").read_text(encoding="utf-8")
    return [_untokenise(line) for line in raw.splitlines() if len(line) > 80]


def _untokenise(line: str) -> str:
    line = re.sub(r" @([-,.])@ ", r"\1", line.replace("<unk>", "one"))
    line = re.sub(r" ([,.;:!?)\]'%])", r"\1", line)
    return re.sub(r"([(\[$]) ", r"\1", line).replace(" n't", "n't").strip()


def sentences(lines: Iterable[str]) -> list[str]:
    return [s for line in lines for s in re.split(r"(?<=[.!?]) +", line) if 20 <= len(s) <= 200]


def naming(lines: Iterable[str], names: Collection[str]) -> dict[str, list[str]]:
    """Name → the lines that have it, for names of up to three words."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        words = re.findall(r"\w[\w'-]*", line)
        spans = {" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words))}
        for name in sorted(spans.intersection(names)):
            found[name].append(line)
    return dict(found)
