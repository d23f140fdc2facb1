"""Trains the adapter: the frozen decoder learns to answer from memory tokens.

The memory tokens of a row are the fact's own tokens: the codec puts its output on the same table,
so nothing of the codec is needed here. Rows ask in another wording, after distracting text, as a
question, as "Q: … A:" and through the chat template; the loss is on the answer and the end token
after it. Some rows carry the memory of another fact; they are held to the base model (KL).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model import lora
from service.model.decoder import Decoder
from training import synthetic
from training.codec import join, learning_rate, log
from training.data import Ask, Relations, running_text, sentences, squad, zsre

WRONG = 0.12  # share of rows whose memory is another fact's


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
        ask = synthetic.ask(r) if kind < 0.5 else self.relations.ask(r)
        return self._state(ask), ask.query, ask.target

    def _state(self, ask: Ask) -> str:
        return join(ask.prompt, ask.target) + self.rng.choice(["", "", "."])

    def prompt(self, query: str) -> tuple[str, bool]:
        """The query as a client may send it; True if the answer needs a space before it."""
        r, kind = self.rng, self.rng.random()
        if kind < 0.3:
            noise = " ".join(r.choices(self.sentences, k=r.choice([1, 1, 2])))
            words = noise.split()
            return (
                f"{' '.join(words[-r.randint(4, 40) :])}{r.choice([' ', ' ', chr(10)])}{query}",
                True,
            )
        if kind < 0.42:
            chat = [{"role": "user", "content": query}]
            return self.decoder.tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True), False  # fmt: skip
        if kind < 0.52 and query.endswith("?"):
            return (
                f"{r.choice(['Q', 'Question'])}: {query}\n{'A' if r.random() < 0.7 else 'Answer'}:",
                True,
            )
        return query, True

    def row(self) -> Row:
        text, query, target = self.ask()
        wrong = self.rng.random() < WRONG
        if wrong:
            text = self.ask()[0]
        prompt, space = self.prompt(query)
        encode = self.decoder.encode
        answer = [*encode(f" {target}" if space else target)[:24], self.decoder.end]
        return Row(
            encode(text)[: self.limit], encode(prompt, template=not space)[-96:], answer, wrong
        )

    def batches(self, size: int) -> Iterator[list[Row]]:
        while True:
            pool = sorted(
                (self.row() for _ in range(size * 8)), key=lambda x: len(x.memory) + len(x.prompt)
            )
            chunks = [pool[i : i + size] for i in range(0, len(pool), size)]
            self.rng.shuffle(chunks)
            yield from chunks


def _answer_logits(decoder: Decoder, heads: list[list[int]], rows: list[Row], on: bool) -> Tensor:
    """Logits at every answer position of all rows, one after the other: (N, V)."""
    full = [head + row.answer[:-1] for head, row in zip(heads, rows, strict=True)]
    longest = max(map(len, full))
    ids = torch.tensor([row + [decoder.end] * (longest - len(row)) for row in full])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in full])
    with decoder.adapted([on] * len(rows)):
        hidden = decoder.hidden(ids, attention_mask=mask, use_cache=False)
    picked = [hidden[i, len(head) - 1 : len(head) - 1 + len(row.answer)]
              for i, (head, row) in enumerate(zip(heads, rows, strict=True))]  # fmt: skip
    return decoder.logits(torch.cat(picked))


def loss_of(decoder: Decoder, rows: list[Row]) -> tuple[Tensor, float]:
    """Cross entropy of the answers, KL to the base model where the memory is wrong; exactness."""
    heads = [decoder.conditioned(row.memory, row.prompt) for row in rows]
    logits = _answer_logits(decoder, heads, rows, on=True)
    wanted = torch.tensor([token for row in rows for token in row.answer])
    wrong = torch.tensor([row.wrong for row in rows for _ in row.answer])
    loss = F.cross_entropy(logits[~wrong], wanted[~wrong])
    astray = [row for row in rows if row.wrong]
    if astray:
        with torch.no_grad():
            base = _answer_logits(decoder, [row.prompt for row in astray], astray, on=False)
        loss = loss + 0.3 * F.kl_div(
            logits[wrong].log_softmax(-1),
            base.log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )
    return loss, float((logits[~wrong].argmax(-1) == wanted[~wrong]).float().mean())


@torch.no_grad()
def exactness(decoder: Decoder, cases: list[tuple[str, str, str]], size: int = 32) -> float:
    """Teacher-forced: share of (fact text, prompt, target) whose answer tokens are all right."""
    hits = 0
    for start in range(0, len(cases), size):
        encode = decoder.encode
        rows = [Row(encode(t), encode(p), encode(f" {a}"), False)
                for t, p, a in cases[start : start + size]]  # fmt: skip
        heads = [decoder.conditioned(row.memory, row.prompt) for row in rows]
        best = _answer_logits(decoder, heads, rows, on=True).argmax(-1).tolist()
        for row in rows:
            hits += best[: len(row.answer)] == row.answer
            best = best[len(row.answer) :]
    return hits / len(cases)


def train(
    decoder: Decoder, source: Rows, held_out: dict[str, list[tuple[str, str, str]]], out: Path,
    steps: int, batch: int = 16, peak: float = 1e-3, seed: int = 0,
) -> None:  # fmt: skip
    """Runs to `steps`, saving `out`/adapter.pt every 20; started again, it goes on from there."""
    parameters = lora.parameters(decoder.adapters)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=peak, weight_decay=0.0)
    step = 0
    if (out / "adapter.pt").exists():
        saved: dict[str, Any] = torch.load(out / "adapter.pt", weights_only=True)
        lora.load(decoder.adapters, saved["adapter"])
        optimizer.load_state_dict(saved["optimizer"])
        step = int(saved["step"])
        source.rng.seed(seed + step)
    for rows in source.batches(batch):
        if step >= steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step * 5, steps * 5, peak)
        loss, right = loss_of(decoder, rows)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        log(out, {"step": step, "loss": loss.item(), "token_accuracy": right})
        if step % 20 == 0 or step == steps:
            state = {
                "adapter": lora.state(decoder.adapters),
                "optimizer": optimizer.state_dict(),
                "step": step,
            }
            torch.save(state, out / "adapter.tmp")
            (out / "adapter.tmp").rename(out / "adapter.pt")
        if step % 60 == 0 or step == steps:
            log(out, {"step": step} | {k: exactness(decoder, v) for k, v in held_out.items()})
