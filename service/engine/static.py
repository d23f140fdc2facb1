"""Decode passes of fixed shapes: a step on a GPU is one replay of a CUDA graph.

A decode step of a small model launches hundreds of kernels that each take less than their launch.
Here it always runs over the first 1, 2, 4 ... lines of the cache and over 64, 128 ... positions,
from inputs that lie where they lay before, so that it can be captured once for each such shape.
Lines that have no token in a step write one past their end, where the next one overwrites it.
Prompts' chunks run as they come. On a CPU the same passes run uncaptured, which the tests do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
import torch
from torch import Tensor

from service.engine.forward import Part
from service.engine.transformer import STEP, TransformerForward, bucket
from service.model.decoder import Decoder

log = structlog.get_logger()
Run = Callable[[], Tensor]


def capture(run: Run, device: torch.device) -> Run:
    """`run` as a CUDA graph, or as it is where it cannot be captured. Its inputs stay in place."""
    if device.type != "cuda":
        return run
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what is allocated or tuned at a first call
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            out = run()
    except RuntimeError as error:
        log.warning("decoding without CUDA graphs", reason=str(error).partition("\n")[0])
        return run

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


class StaticForward(TransformerForward):
    """`Forward` (forward.py) by transformers, decode passes in buckets of rows and positions."""

    def __init__(self, decoder: Decoder, slots: int, budget: int) -> None:
        super().__init__(decoder, slots, budget)
        self._ends: dict[int, int] = {}  # slot → tokens it holds
        rows, device = bucket(slots), decoder.device
        self.cache.slots = rows
        self._ids = torch.full((rows, 1), decoder.end, device=device)
        self._at = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._gate = torch.zeros(rows, 1, 1, dtype=decoder.embedding.dtype, device=device)
        self._passes: dict[tuple[int, int], Run] = {}
        self._moves = 0  # of the cache, when those were captured

    def warm(self) -> None:
        """Captures the passes over short rows; longer ones are captured when they come."""
        slots: list[int] = []
        while len(slots) < self.slots and self.room(STEP):
            slots.append(self.open(STEP))
            self.extend([Part(slots[-1], 0, [self.decoder.end] * 2, False)])
            if len(slots) == bucket(len(slots)) or len(slots) == self.slots:
                self.extend([Part(slot, 2, [self.decoder.end], True) for slot in slots])
        for slot in slots:
            self.close(slot)

    def open(self, length: int) -> int:
        slot = super().open(length)
        self._ends[slot] = 0
        return slot

    def close(self, slot: int) -> None:
        super().close(slot)
        del self._ends[slot]

    def extend(self, parts: Sequence[Part]) -> Tensor:
        logits = super().extend(parts)
        for part in parts:
            self._ends[part.slot] = part.start + len(part.ids)
        return logits

    def _pass(self, parts: Sequence[Part]) -> Tensor:
        if len(parts[0].ids) > 1:
            return super()._pass(parts)
        by_slot = {part.slot: part for part in parts}
        lines = [by_slot.get(slot) for slot in self._lines]
        ends = [part.start if part else self._ends[slot]
                for part, slot in zip(lines, self._lines, strict=True)]  # fmt: skip
        rows, span = bucket(len(lines)), max(bucket(max(ends) + 1), STEP)
        self.cache.reserve(span)
        if self.cache.moves != self._moves:  # by this step, or by a prompt's chunk before it
            self._passes.clear()
            self._moves = self.cache.moves
        ids = [part.ids[0] if part else self.decoder.end for part in lines]
        gates = [bool(part and part.adapted) for part in lines]
        for target, values in ((self._ids, ids), (self._at, ends), (self._gate, gates)):
            source = torch.tensor(values, dtype=target.dtype).view(-1, *target.shape[1:])
            target[: len(lines)].copy_(source)
        self._at[len(lines) : rows] = 0
        if (rows, span) not in self._passes:
            self._passes[rows, span] = capture(
                lambda: self._decode(rows, span), self.decoder.device
            )
        hidden = self._passes[rows, span]()
        return hidden[[line for line, part in enumerate(lines) if part]]

    def _decode(self, rows: int, span: int) -> Tensor:
        """The last hidden states of the first `rows` lines, (rows, d)."""
        at = self._at[:rows]
        self.cache.aim(slice(0, rows), at, span)
        mask = (torch.arange(span, device=at.device) <= at[:, :, None])[:, None]  # (B, 1, 1, L)
        self.decoder.gate.rows = self._gate[:rows]
        try:
            hidden = self.decoder.hidden(self._ids[:rows], attention_mask=mask, position_ids=at,
                                         past_key_values=self.cache, use_cache=True)  # fmt: skip
        finally:
            self.decoder.gate.rows = None
        return hidden[:, 0]
