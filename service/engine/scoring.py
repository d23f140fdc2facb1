"""Log-probabilities of given targets as continuations of their prompts.

Small items are scored together, a row a target. An item above a batch's budget is scored in steps:
its prompt goes in once, chunk by chunk, and every target is read against the prompt's keys and
values.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import cast

import torch
from torch import Tensor

from service.engine.prompt import Prompt
from service.engine.protocol import Scored, ScoreItem, TargetScore
from service.model.decoder import Decoder
from service.model.larimar import Reading

TOKENS = 4096  # rows x longest row of one forward pass
SEEN = 32_768  # rows x keys that they see, where targets share a prompt


@torch.inference_mode()
def score(
    decoder: Decoder, items: Sequence[ScoreItem], readings: Sequence[Reading]
) -> list[Scored]:
    """Every target of every item under its item's reading."""
    rows: list[tuple[list[int], list[int], bool]] = []  # head, target, adapter on
    for item, reading in zip(items, readings, strict=True):
        head = _head(decoder, item, reading)
        rows += [(head, tail, reading.in_scope) for tail in _tails(decoder, item)]
    values = iter(_logprobs(decoder, rows))
    tails = iter(rows)
    scored = []
    for item, reading in zip(items, readings, strict=True):
        found = [(next(tails)[1], next(values)) for _ in item.targets]
        scored.append(_scored(decoder, item, reading, found))
    return scored


def score_in_steps(
    decoder: Decoder, item: ScoreItem, reading: Reading, budget: int
) -> Generator[None, None, Scored]:
    """The same for one item, about `budget` tokens at a step."""
    head, tails = _head(decoder, item, reading), _tails(decoder, item)
    prompt, on = Prompt(), reading.in_scope
    for chunk in _chunks([head[:-1]], budget):
        prompt.follow(decoder, chunk, on, keep=True)
        yield
    found: list[list[float]] = [[] for _ in tails]
    order = sorted(range(len(tails)), key=lambda i: len(tails[i]))
    while order:
        longest = max(len(tails[order[-1]]), 1)
        count = max(1, min(budget // longest, SEEN // (len(head) + longest)))
        part, order = order[-count:], order[:-count]
        chunks = _chunks([[head[-1], *tails[i][:-1]] for i in part], max(budget // count, 1))
        rows = prompt.copy()
        for chunk in chunks:
            hidden = rows.follow(decoder, chunk, on, keep=chunk is not chunks[-1])
            for i, states, ids in zip(part, hidden, chunk, strict=True):
                at = len(found[i])
                found[i] += _picked(decoder, states[: len(ids)], tails[i][at : at + len(ids)])
            yield
    return _scored(decoder, item, reading, list(zip(tails, found, strict=True)))


def _head(decoder: Decoder, item: ScoreItem, reading: Reading) -> list[int]:
    head = decoder.encode(item.prompt.rstrip(" ")) or [decoder.begin]
    return decoder.conditioned(reading.tokens, head) if reading.in_scope else head


def _tails(decoder: Decoder, item: ScoreItem) -> list[list[int]]:
    joined = (t if t[:1].isspace() or item.prompt.endswith("\n") else f" {t}" for t in item.targets)
    return [decoder.encode(target) for target in joined]


def _scored(
    decoder: Decoder,
    item: ScoreItem,
    reading: Reading,
    found: Sequence[tuple[Sequence[int], Sequence[float]]],
) -> Scored:
    """`found`: tokens and their log-probabilities of each target."""
    targets = []
    for target, (tail, values) in zip(item.targets, found, strict=True):
        tokens = tuple(decoder.decode([token]) for token in tail)
        targets.append(TargetScore(target, sum(values), tokens, tuple(values)))
    return Scored(reading.in_scope, tuple(targets))


def _logprobs(
    decoder: Decoder, rows: Sequence[tuple[list[int], list[int], bool]]
) -> list[list[float]]:
    """Token log-probabilities of each row's target, rows of similar length together."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))
    out: list[list[float]] = [[] for _ in rows]
    while order:
        longest = len(rows[order[-1]][0]) + len(rows[order[-1]][1])
        count = max(1, TOKENS // max(longest, 1))
        part, order = order[-count:], order[:-count]
        for i, values in zip(part, _forward(decoder, [rows[i] for i in part]), strict=True):
            out[i] = values
    return out


def _forward(
    decoder: Decoder, rows: Sequence[tuple[list[int], list[int], bool]]
) -> list[list[float]]:
    full = [head + tail for head, tail, _ in rows]
    longest = max(map(len, full))
    ids = torch.tensor([r + [decoder.end] * (longest - len(r)) for r in full])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in full])
    with decoder.adapted([on for _, _, on in rows]):
        hidden = decoder.hidden(
            ids.to(decoder.device), attention_mask=mask.to(decoder.device), use_cache=False
        )  # (B, T, d)
    return [
        _picked(decoder, states[len(head) - 1 : len(head) + len(tail) - 1], tail)
        for states, (head, tail, _) in zip(hidden, rows, strict=True)
    ]


@torch.inference_mode()
def _picked(decoder: Decoder, states: Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-probability of each token after the state (d,) before it."""
    logp = decoder.logits(states).float().log_softmax(-1)  # (n, V)
    wanted = torch.tensor(tokens, dtype=torch.long, device=logp.device)[:, None]
    return cast(list[float], logp.gather(1, wanted).squeeze(1).tolist())


def _chunks(rows: Sequence[list[int]], width: int) -> list[list[list[int]]]:
    """The rows' tokens from left to right, `width` of each at a time."""
    ends = range(0, max(map(len, rows)), width)
    return [[row[start : start + width] for row in rows] for start in ends]
