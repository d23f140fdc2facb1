"""Log-probabilities of given targets as continuations of their prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from service.engine.protocol import Scored, ScoreItem, TargetScore
from service.model.decoder import Decoder
from service.model.larimar import Reading

TOKENS = 4096  # rows x longest row of one forward pass


@torch.inference_mode()
def score(
    decoder: Decoder, items: Sequence[ScoreItem], readings: Sequence[Reading]
) -> list[Scored]:
    """Every target of every item under its item's reading."""
    rows: list[tuple[list[int], list[int], bool]] = []  # head, target, adapter on
    for item, reading in zip(items, readings, strict=True):
        head = decoder.encode(item.prompt.rstrip(" ")) or [decoder.begin]
        if reading.in_scope:
            head = decoder.conditioned(reading.tokens, head)
        for target in item.targets:
            joined = target if target[:1].isspace() or item.prompt.endswith("\n") else f" {target}"
            rows.append((head, decoder.encode(joined), reading.in_scope))
    values = iter(_logprobs(decoder, rows))
    tails = iter(rows)
    scored = []
    for item, reading in zip(items, readings, strict=True):
        targets = []
        for target in item.targets:
            tokens = tuple(decoder.decode([token]) for token in next(tails)[1])
            token_logprobs = tuple(next(values))
            targets.append(TargetScore(target, sum(token_logprobs), tokens, token_logprobs))
        scored.append(Scored(reading.in_scope, tuple(targets)))
    return scored


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
    out = []
    for states, (head, tail, _) in zip(hidden, rows, strict=True):
        logits = decoder.logits(states[len(head) - 1 : len(head) + len(tail) - 1])  # (n, V)
        logp = logits.float().log_softmax(-1)
        wanted = torch.tensor(tail, device=logp.device)[:, None]
        out.append(logp.gather(1, wanted).squeeze(1).tolist())
    return out
