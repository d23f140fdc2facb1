"""The library of step.c: built by `python -m service.engine.native.library` at install.

Without a C compiler, or on a processor without the instructions, the service decodes with
transformers.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import structlog

from memory_store.compiled import Compiled, NativeError, report

STEP = Compiled(Path(__file__).with_name("step.c"), ("-ffp-contract=fast",))
log = structlog.get_logger()


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The library, built if need be; None, and one line in the log, where it cannot be had."""
    try:
        return STEP.load()
    except NativeError as error:
        log.warning("decoding without the native library", reason=str(error))
        return None


if __name__ == "__main__":
    report("native decoding", STEP)
