"""What a decode batch asks of a model: extend rows by tokens, and say what may follow.

A row's keys and values live in a slot. `extend` takes parts of any rows, a prompt's chunk beside
another row's newest token, and a row's numbers do not depend on the others. Three do it:
transformers' model (any causal LM), the same with decode passes of fixed shapes, replayed as CUDA
graphs, and a native step for Llama's shape on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from service.model.decoder import Decoder


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens that follow what the slot holds."""

    slot: int
    start: int  # tokens that the slot holds already
    ids: Sequence[int]
    adapted: bool
    wanted: bool = True  # are the logits after the last token asked for?


class Forward(Protocol):
    chunk: int  # prompt tokens worth adding to one step

    def room(self, length: int) -> bool:
        """Could `open` give a slot for a row of so many tokens now?"""
        ...

    def open(self, length: int) -> int:
        """A slot for a row of at most `length` tokens; `room` said yes."""
        ...

    def close(self, slot: int) -> None: ...
    def warm(self) -> None:
        """What the first step of each shape would pay for is paid now; no slot is open."""
        ...

    def extend(self, parts: Sequence[Part]) -> Tensor:
        """Logits (wanted parts, V), float32 on any device, in the order of the parts."""
        ...


def forward_of(decoder: Decoder, slots: int, budget: int) -> Forward:
    """The fastest that can run this decoder here; `budget` bounds the tokens of all slots."""
    from service.engine.native.model import NativeForward, runs
    from service.engine.static import StaticForward
    from service.engine.transformer import TransformerForward

    if runs(decoder):
        return NativeForward(decoder, slots, budget)
    kind = StaticForward if decoder.device.type == "cuda" else TransformerForward
    return kind(decoder, slots, budget)
