"""Is it the device that failed, or one call?"""

from __future__ import annotations

import torch


def check_device() -> None:
    """Raises if the device is lost: CUDA repeats an error that it cannot recover from, at every
    call from then on. Whatever else was raised is a matter of what was being worked on."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
