"""Trains the adapter: the frozen decoder learns to answer from memory tokens.

The memory tokens of a row are the fact's own tokens: the codec puts its output on the same table,
so nothing of the codec is needed here but its errors: in some rows a token is one that lies near it
in the table. Rows ask in another wording, after distracting text, as a question, as "Q: … A:" and
through the chat template, at times in another case; the loss is on the answer and the end token
after it. Some rows carry the memory of another fact (any, the same
relation of another subject, another relation of the subject) and are held to the base model (KL).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model import lora
from service.model.decoder import Decoder
from training import synthetic
from training.codec import nearest
from training.data import Ask, Relations, join, naming, running_text, sentences, squad, zsre
from training.loop import Group, Plan, Run

BATCH = 16
WRONG = 0.05  # share of rows whose memory is another fact's
MISREAD = 0.1  # share of rows one of whose memory tokens was read as one near it
RECASED = 0.09
DISTRACTED = 0.3  # share of prompts with text before the query


@dataclass(frozen=True, slots=True)
class Row:
    memory: list[int]
    prompt: list[int]
    answer: list[int]  # with the end token
    wrong: bool


class Rows:
    """An endless stream of training rows."""

    def __init__(self, data: Path, decoder: Decoder, limit: int, seed: int) -> None:
        self.rng, self.decoder, self.limit = random.Random(seed), decoder, limit
        self.relations = Relations(data)
        self.sentences = sentences(running_text(data))
        self.naming = naming(self.sentences, set(self.relations.all_objects))
        self.zsre = zsre(data, train=True)
        self.squad = squad(data)

    def ask(self) -> tuple[str, str, str]:
        """(fact text, query, answer)."""
        r, kind = self.rng, self.rng.random()
        if kind < 0.12:
            case = r.choice(self.zsre)
            target = r.choice([case["alt"], case["answers"][0]])
            forms = [case["src"], case["rephrase"]]
            return join(r.choice(forms), target), r.choice(forms), target
        if kind < 0.2:
            sentence, question, answer = r.choice(self.squad)
            if len(self.decoder.encode(sentence)) < self.limit:
                return sentence, question, answer
        if kind < 0.3:
            ask = self.relations.statement(r)
            return ask.prompt, ask.query, ask.target
        if kind < 0.36 and self.relations.edit_asks:
            ask = r.choice(self.relations.edit_asks)
            return join(ask.prompt, ask.target), ask.query, ask.target
        ask = synthetic.ask(r) if kind < 0.64 else self.relations.ask(r)
        turned = synthetic.turned(ask.prompt, ask.target) if r.random() < 0.3 else None
        return turned or self._state(ask), ask.query, ask.target

    def _state(self, ask: Ask) -> str:
        return join(ask.prompt, ask.target) + self.rng.choice(["", "", "."])

    def recased(self, text: str, query: str, target: str) -> tuple[str, str, str]:
        """The query, the cue or the whole fact in capitals or in small letters."""
        change = self.rng.choice([str.upper, str.lower, str.title])
        kind = self.rng.random()
        if kind < 0.4 or target not in text:
            return text, change(query), target
        if kind < 0.8:  # what is stored as the answer stays as it is
            return target.join(map(change, text.split(target))), query, target
        return change(text), query, change(target)

    def misread(self, memory: list[int], answer: list[int]) -> list[int]:
        """As the codec may read it: a token, but none of the answer, for one near it."""
        places = [i for i, token in enumerate(memory) if token not in answer]
        if not places or self.rng.random() >= MISREAD:
            return memory
        i = self.rng.choice(places)
        return [*memory[:i], self.rng.choice(self.near(memory[i])), *memory[i + 1 :]]

    @cache  # noqa: B019
    def near(self, token: int) -> list[int]:
        """Those that the codec may take it for."""
        found: list[int] = nearest(self.decoder.embedding, slice(token, token + 1))[0].tolist()
        return found

    def near_miss(self) -> tuple[str, str, str]:
        """A memory that does not answer the query: same relation or same subject."""
        r, rel = self.rng, self.relations
        if r.random() < 0.3:
            entity, value, forms = r.choice(synthetic.KINDS)
            cue = synthetic.fill(r.choice(synthetic.cues(forms)), entity(r))
            return join(cue, value(r)), synthetic.fill(r.choice(forms), entity(r)), value(r)
        relation = r.choice([name for name in rel.names if len(set(rel.subjects[name])) > 1])
        subject, other = r.sample(sorted(set(rel.subjects[relation])), 2)
        asked = rel.other_relation(relation, r) if r.random() < 0.5 else relation
        query = rel.template(asked or relation, r).format(other if asked == relation else subject)
        fact = join(rel.template(relation, r).format(subject), rel.target(relation, r))
        return fact, query, rel.target(asked or relation, r)

    def distraction(self, target: str) -> str:
        """Text before the query; often it names another possible answer."""
        r = self.rng
        rival = self.relations.rival(target, r)
        named = self.naming.get(rival) if rival and r.random() < 0.5 else None
        words = " ".join(r.choices(named or self.sentences, k=r.choice([1, 1, 2]))).split()
        return " ".join(words[-r.randint(4, 40) :])

    def prompt(self, query: str, target: str) -> tuple[str, bool]:
        """The query as a client may send it; True if the answer needs a space before it."""
        r, kind = self.rng, self.rng.random()
        if kind < DISTRACTED:
            return f"{self.distraction(target)}{r.choice([' ', ' ', chr(10)])}{query}", True
        if kind < 0.42 and self.decoder.tokenizer.chat_template:
            return self.decoder.chat([{"role": "user", "content": query}]), False
        if kind < 0.52 and query.endswith("?"):
            return (
                f"{r.choice(['Q', 'Question'])}: {query}\n{'A' if r.random() < 0.7 else 'Answer'}:",
                True,
            )
        return query, True

    def row(self) -> Row:
        text, query, target = self.ask()
        kind = self.rng.random()
        if kind < WRONG:
            near = kind < 0.7 * WRONG
            text, query, target = self.near_miss() if near else (self.ask()[0], query, target)
        elif kind < WRONG + RECASED:
            text, query, target = self.recased(text, query, target)
        prompt, space = self.prompt(query, target)
        encode = self.decoder.encode
        answer = [*encode(f" {target}" if space else target)[:24], self.decoder.end]
        return Row(
            self.misread(encode(text)[: self.limit], answer),
            encode(prompt, template=not space)[-96:],
            answer,
            kind < WRONG,
        )

    def batches(self, size: int) -> Iterator[list[Row]]:
        while True:
            pool = sorted(
                (self.row() for _ in range(size * 8)), key=lambda x: len(x.memory) + len(x.prompt)
            )
            chunks = [pool[i : i + size] for i in range(0, len(pool), size)]
            self.rng.shuffle(chunks)
            yield from chunks


def hidden_of(decoder: Decoder, heads: list[list[int]], rows: list[Row], on: bool) -> Tensor:
    """Last hidden states (B, T, d) of all rows, answers included, adapter on or off."""
    full = [head + row.answer[:-1] for head, row in zip(heads, rows, strict=True)]
    longest = max(map(len, full))
    ids = torch.tensor([row + [decoder.end] * (longest - len(row)) for row in full])
    ids = ids.to(decoder.device)
    lengths = torch.tensor([[len(row)] for row in full], device=ids.device)
    mask = torch.arange(longest, device=ids.device) < lengths
    with decoder.adapted([on] * len(rows)):
        return decoder.hidden(ids, attention_mask=mask.long(), use_cache=False)


def at_answers(hidden: Tensor, heads: list[list[int]], rows: list[Row]) -> Tensor:
    """The states before every answer token of all rows, one row after the other: (N, d)."""
    return torch.cat([hidden[i, len(head) - 1 : len(head) - 1 + len(row.answer)]
                      for i, (head, row) in enumerate(zip(heads, rows, strict=True))])  # fmt: skip


def _logits(decoder: Decoder, heads: list[list[int]], rows: list[Row], on: bool) -> Tensor:
    return decoder.logits(at_answers(hidden_of(decoder, heads, rows, on), heads, rows))


def conditioned(decoder: Decoder, rows: list[Row]) -> Tensor:
    """Logits (N, V) before every answer token of rows that read their memory, adapter on."""
    heads = [decoder.conditioned(row.memory, row.prompt) for row in rows]
    return _logits(decoder, heads, rows, on=True)


def loss_of(decoder: Decoder, rows: list[Row], logits: Tensor) -> Tensor:
    """Cross entropy of the answers, KL to the base model where the memory is wrong."""
    device = logits.device
    wanted = torch.tensor([token for row in rows for token in row.answer], device=device)
    wrong = torch.tensor([row.wrong for row in rows for _ in row.answer], device=device)
    loss = F.cross_entropy(logits[~wrong], wanted[~wrong])
    astray = [row for row in rows if row.wrong]
    if astray:
        with torch.no_grad():
            base = _logits(decoder, [row.prompt for row in astray], astray, on=False)
        loss = loss + 0.3 * F.kl_div(
            logits[wrong].log_softmax(-1),
            base.log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )
    return loss


Answer = Callable[[Decoder, list[Row]], Tensor]  # rows → logits (N, V) at their answers


@torch.no_grad()
def exactness(decoder: Decoder, cases: list[tuple[str, str, str]],
              answer: Answer = conditioned, size: int = 32) -> float:  # fmt: skip
    """Teacher-forced: share of (fact text, prompt, target) whose answer tokens are all right."""
    hits, encode = 0, decoder.encode
    for start in range(0, len(cases), size):
        rows = [Row(encode(t), encode(p), encode(f" {a}"), False)
                for t, p, a in cases[start : start + size]]  # fmt: skip
        best = answer(decoder, rows).argmax(-1).tolist()
        for row in rows:
            hits += best[: len(row.answer)] == row.answer
            best = best[len(row.answer) :]
    return hits / len(cases)


def train(
    decoder: Decoder, source: Rows, held_out: dict[str, list[tuple[str, str, str]]], out: Path,
    plan: Plan,
) -> None:  # fmt: skip
    run = Run(out, [Group(lora.parameters(decoder.adapters), 1e-3)], plan)
    if state := run.resume():
        lora.load(decoder.adapters, state)
    source.rng.seed(plan.seed + run.step)
    batches = source.batches(plan.hardware.part(BATCH))

    def loss_of_next() -> Tensor:
        rows = next(batches)
        return loss_of(decoder, rows, conditioned(decoder, rows))

    for _ in run:
        loss = run.descend(loss_of_next)
        if run.due(5):
            run.log(loss=loss)
        if run.due(20):
            run.save(lora.state(decoder.adapters))
        if run.due(60):
            run.log(**{name: exactness(decoder, asks) for name, asks in held_out.items()})
