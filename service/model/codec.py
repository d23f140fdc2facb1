"""Latent codec: one vector holds a sentence, and reads back as tokens on the embedding table.

Encoder half: frozen decoder embeddings → linear → bidirectional transformer → position-bound
superposition z = LN(Σ_t U_t h_t / √T), z ∈ R^C. Decoder half: h'_t = V_t z, made orthogonal to the
other positions by training, a transformer that cancels the cross-talk, and a distribution over
the decoder's vocabulary at each position. The best row of the embedding table at each position
is a memory token: it lies where the decoder's own copying circuits read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.refine import CERTAIN, refine

BLOCK = 8  # positions decoded at a time


@dataclass(frozen=True, slots=True)
class CodecConfig:
    max_tokens: int = 32  # T
    latent: int = 1024  # C
    width: int = 256  # w, of both transformers
    encoder_layers: int = 2
    decoder_layers: int = 3
    heads: int = 4


class Block(nn.Module):
    """Pre-norm transformer block without causal mask. (B, T, w) → (B, T, w)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for linear in (self.out, self.down):  # a block starts as the identity
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, T, w/H)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, w))
        y: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return y


class Codec(nn.Module):
    """Both halves. `embedding` (V, d) is the frozen decoder's table and is not saved with it."""

    embedding: Tensor

    def __init__(self, config: CodecConfig, embedding: Tensor, end: int) -> None:
        super().__init__()
        self.config, self.end = config, end
        t, c, w, d = config.max_tokens, config.latent, config.width, embedding.shape[1]
        self.register_buffer("embedding", embedding.detach(), persistent=False)
        self.project_in = nn.Linear(d, w)
        self.position_in = nn.Parameter(torch.zeros(t, w))
        self.encoder = nn.ModuleList(Block(w, config.heads) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(w)
        self.bind = nn.Parameter(torch.empty(t, w, c))  # U
        self.unbind = nn.Parameter(torch.empty(t, w, c))  # V
        self.position_out = nn.Parameter(torch.zeros(t, w))
        self.decoder = nn.ModuleList(Block(w, config.heads) for _ in range(config.decoder_layers))
        self.project_out = nn.Linear(w, d)

    @torch.no_grad()
    def initialise(self) -> None:
        """A codec that works linearly: whitened principal axes, orthonormal U_t, V_t = U_t."""
        w = self.config.width
        mean = self.embedding.mean(0)
        covariance = torch.cov(self.embedding.T)
        variance, axes = torch.linalg.eigh(covariance)
        variance, axes = variance[-w:], axes[:, -w:]  # (w,), (d, w)
        self.project_in.weight.copy_((axes / variance.sqrt()).T)
        self.project_in.bias.copy_(-mean @ (axes / variance.sqrt()))
        self.project_out.weight.copy_(axes / variance.sqrt())
        nn.init.zeros_(self.project_out.bias)
        for t in range(self.config.max_tokens):
            nn.init.orthogonal_(self.bind[t])
        self.unbind.copy_(self.bind)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, T'), of which `lengths` (B,) count, the end token included → z (B, C)."""
        return self._bound(self.embedding[ids], lengths)

    def _bound(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Embedded tokens (B, T', d) → z (B, C)."""
        t = x.shape[1]
        valid = torch.arange(t, device=x.device) < lengths[:, None]  # (B, T')
        x = self.project_in(x) + self.position_in[:t]
        for block in self.encoder:
            x = block(x, valid[:, None, None, :])
        h = self.norm(x) * valid[:, :, None]
        z = torch.einsum("btw,twc->bc", h, self.bind[:t]) / t**0.5
        return F.layer_norm(z, z.shape[-1:])

    def states(self, z: Tensor, positions: int | None = None) -> Tensor:
        """Latents (B, C), of any norm → what points at the embedding table (B, T', d)."""
        t = positions or self.config.max_tokens
        z = F.layer_norm(z, z.shape[-1:])  # the norm of a readout only says how near the query was
        x = torch.einsum("bc,twc->btw", z, self.unbind[:t]) + self.position_out[:t]
        for block in self.decoder:
            x = block(x, None)
        states: Tensor = self.project_out(x)
        return states

    def decode(self, z: Tensor) -> list[list[int]]:
        """Latents (B, C) → token ids of each, without the end token.

        Position by position, and refined where the text's own latent is another (refine.py).
        """
        z = F.layer_norm(z, z.shape[-1:])
        states = self.states(z)  # (B, T, d)
        rows = self._best(states)
        for i, cosine in enumerate(self._likeness(rows, z)):
            if cosine < CERTAIN:
                near = states[i, : len(rows[i]) + BLOCK]  # a text may also be a little longer
                likeness = partial(self._likeness, z=z[i])
                gains = partial(self._gains, z=z[i])
                rows[i] = refine(near @ self.embedding.T, self.end, likeness, gains)
        return rows

    def _likeness(self, rows: Sequence[Sequence[int]], z: Tensor) -> list[float]:
        """Cosines of the latents of texts (token rows) with latents (B, C) or one (C,)."""
        own = self.encode(*self.pad(rows))
        return cast(list[float], F.cosine_similarity(own, z, dim=-1).tolist())

    def _gains(self, row: Sequence[int], z: Tensor) -> Tensor:
        """By how much every token, put in every place of a text, would bring the text's latent
        nearer to z (C,), to first order (HotFlip, Ebrahimi et al. 2018, arXiv 1712.06751). (T', V)
        """
        with torch.inference_mode(False), torch.enable_grad():
            ids, lengths = self.pad([row])
            x = self.embedding[ids].clone().requires_grad_()
            near = F.cosine_similarity(self._bound(x, lengths), z.clone(), dim=-1)
            [slope] = torch.autograd.grad(near.sum(), x)
        found = slope[0] @ self.embedding.T
        return found - found.gather(1, ids[0, :, None])

    def greedy(self, z: Tensor) -> list[list[int]]:
        """`decode` without the refinement: every position by itself."""
        return self._best(self.states(z))

    def _best(self, states: Tensor) -> list[list[int]]:
        """The best token of every position, up to the end token.

        The product with the whole table is what costs: rows that have ended take no part in the
        later positions.
        """
        rows: list[list[int]] = [[] for _ in range(len(states))]
        going = list(range(len(states)))
        for start in range(0, self.config.max_tokens, BLOCK):
            if going:
                part = states[going, start : start + BLOCK]  # (b, BLOCK, d)
                best = (part @ self.embedding.T).argmax(-1).tolist()
                for i, tokens in zip(going, best, strict=True):
                    rows[i] += tokens
                going = [i for i in going if self.end not in rows[i]]
        return [row[: row.index(self.end)] if self.end in row else row for row in rows]

    def pad(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token rows of at most T → ids (B, T') with the end token where it fits, lengths (B,)."""
        limit = self.config.max_tokens
        ended = [[*row, self.end][:limit] for row in rows]
        longest = max(map(len, ended))
        ids = torch.tensor([row + [self.end] * (longest - len(row)) for row in ended])
        lengths = torch.tensor([len(row) for row in ended])
        return ids.to(self.embedding.device), lengths.to(self.embedding.device)
