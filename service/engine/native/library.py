"""Compiles step.c once and loads it.

`python -m service.engine.native.library` builds it at install, beside its source or, where that
cannot be written, in the cache folder, under a name that holds the source's digest; a start that
finds none tries to. Without a C compiler, or on a processor without the instructions, the service
decodes with transformers.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import structlog
import torch

from service.model.weights import cache_dir

SOURCE = Path(__file__).with_name("step.c")
FLAGS = ("-O3", "-ffp-contract=fast", "-fopenmp", "-fPIC", "-std=gnu11")
log = structlog.get_logger()


class NativeError(Exception):
    """The library cannot be built or loaded here; the text says why."""


def target() -> str:
    """The instructions to compile for. Raises NativeError."""
    machine, capability = platform.machine(), torch.backends.cpu.get_cpu_capability()
    if sys.platform != "linux":
        raise NativeError(f"no native decoding on {sys.platform}")
    if machine == "x86_64" and capability.startswith("AVX"):
        return "-march=x86-64-v3"
    if machine == "aarch64":
        return "-march=armv8-a"
    raise NativeError(f"no native decoding on {machine} with {capability}")


def _places() -> list[Path]:
    """Where the library may be, the best first."""
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join((*FLAGS, target())).encode())
    name = f"step-{key.hexdigest()[:16]}.so"
    return [SOURCE.with_name(name), cache_dir() / name]


def build() -> Path:
    """Compiles unless it was done; raises NativeError."""
    places = _places()
    if found := next((place for place in places if place.exists()), None):
        return found
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NativeError("no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "step.o"
        _run([compiler, *FLAGS, target(), "-c", str(SOURCE), "-o", str(made)])
        # without -fopenmp: OpenMP's symbols come from the library that PyTorch has loaded, so
        # that both share one pool of threads
        _run([compiler, "-shared", "-Wl,-z,now", str(made), "-o", str(made.with_suffix(".so")),
              "-lm"])  # fmt: skip
        return _install(made.with_suffix(".so"), places)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise NativeError(f"{command[0]}: {done.stderr.strip()[:300]}")


def _install(made: Path, places: list[Path]) -> Path:
    for place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            staged = place.with_suffix(f".{os.getpid()}")
            shutil.copy(made, staged)
            return staged.rename(place)  # atomic: other processes may be starting
        except OSError:
            continue
    raise NativeError(f"{places[-1].parent} cannot be written")


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The library, built if need be; None, and one line in the log, where it cannot be had."""
    try:
        return ctypes.CDLL(str(build()))
    except (NativeError, OSError) as error:
        log.warning("decoding without the native library", reason=str(error))
        return None


def main() -> None:
    try:
        print(f"native decoding: {build()}")
    except NativeError as error:
        print(f"native decoding is off: {error}")


if __name__ == "__main__":
    main()
