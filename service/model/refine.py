"""Analysis by synthesis: of the texts that a latent may hold, the one whose own latent is nearest.

A codec's decoder half takes every position by itself and errs at some. Its encoder half tells:
under Gaussian noise the likeliest text is the one whose latent has the largest cosine with what was
read. So a text that does not encode to its latent is changed token by token, as long as that brings
it nearer (coordinate ascent). Tried are tokens that the decoder half nearly took, tokens that
promise the most by the encoder half's gradient, and an end in every earlier place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CERTAIN = 0.9999  # cosine from which a text is what the latent was made of
ALTERNATIVES = 24  # tokens that a position may be
MARGIN = 20.0  # by which an alternative's logit may lie behind the best
LIKELY = 128  # changes tried in a round because the decoder half nearly made them
PROMISING = 48  # ... because the gradient promises most of them
ROUNDS = 10

Likeness = Callable[[Sequence[Sequence[int]]], list[float]]  # cosines of texts with the latent
Gains = Callable[[Sequence[int]], Tensor]  # text and its end → the gain by any token, (T', V)


def refine(logits: Tensor, end: int, likeness: Likeness, gains: Gains) -> list[int]:
    """Logits (T, V) of one latent's positions → token ids before the end token."""
    top = logits.topk(ALTERNATIVES)
    behind = top.values[:, :1] - top.values  # (T, ALTERNATIVES)
    order = [divmod(i, ALTERNATIVES) for i in torch.argsort(behind.flatten()).tolist()]
    ids, gaps = top.indices.tolist(), behind.tolist()
    near = [(t, ids[t][k]) for t, k in order if gaps[t][k] <= MARGIN]

    def text(row: Sequence[int]) -> list[int]:
        return list(row[: row.index(end)] if end in row else row)

    def changed(row: list[int], tokens: dict[int, int]) -> list[int]:
        return [tokens.get(t, token) for t, token in enumerate(row)]

    def candidates(row: list[int]) -> list[tuple[int, int]]:
        last = len(text(row))  # the end token's position may change too
        gained = gains(row[:last])
        promising = gained.flatten().topk(PROMISING).indices.tolist()
        found = [(t, k) for t, k in near if t <= last and k != row[t]][:LIKELY]
        found += [divmod(i, gained.shape[1]) for i in promising]
        found += [(t, end) for t in range(last)]
        return [(t, k) for t, k in dict.fromkeys(found) if t < len(row) and k != row[t]]

    row = [alternatives[0] for alternatives in ids]
    [best] = likeness([text(row)])
    for _ in range(ROUNDS):
        if best >= CERTAIN:
            break
        steps = candidates(row)
        found = likeness([text(changed(row, {t: token})) for t, token in steps])
        better = sorted(pair for pair in zip(found, steps, strict=True) if pair[0] > best)
        if not better:
            break
        # the best step of every position at once, or the best alone
        rows = [changed(row, dict(step for _, step in better)), changed(row, dict([better[-1][1]]))]
        best, row = max(zip(likeness(list(map(text, rows))), rows, strict=True))
    return text(row)
