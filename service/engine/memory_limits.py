"""What to do when the device's memory does not hold a batch: half of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from service.engine.protocol import OutOfMemory

T = TypeVar("T")
R = TypeVar("R")


def exhausted(error: Exception) -> bool:
    """Is it memory that was missing? PyTorch's CPU allocator has no exception of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def free() -> None:
    """Gives back what PyTorch keeps for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | OutOfMemory]:
    """`work`'s result for every item; OutOfMemory for an item that does not fit even alone.

    `work` must be such that it can be tried again.
    """
    try:
        return list(work(items))
    except Exception as error:
        if not exhausted(error):
            raise
    free()  # outside the handler: the traceback keeps the failed attempt's tensors alive
    if len(items) == 1:
        return [OutOfMemory()]
    half = len(items) // 2
    return halved(work, items[:half]) + halved(work, items[half:])
