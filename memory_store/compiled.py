"""C sources of our own, compiled once where they are installed, and loaded.

A library lies beside its source or, where that cannot be written, in the cache folder, under a
name that holds the source's digest, so that it always is the source's. A start that finds none
compiles. Whoever uses one has another way for machines without a compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

FLAGS: Final = ("-O3", "-fopenmp", "-fPIC", "-std=gnu11")


class NativeError(Exception):
    """The library cannot be built or loaded here; the text says why."""


def cache_dir() -> Path:
    """`$LARIMAR_CACHE_DIR`, else `~/.cache/larimar`."""
    return Path(os.environ.get("LARIMAR_CACHE_DIR", Path.home() / ".cache" / "larimar"))


def target() -> str:
    """The instructions to compile for. Raises NativeError."""
    machine, capability = platform.machine(), torch.backends.cpu.get_cpu_capability()
    if sys.platform != "linux":
        raise NativeError(f"no native code on {sys.platform}")
    if machine == "x86_64" and capability.startswith("AVX"):
        return "-march=x86-64-v3"
    if machine == "aarch64":
        return "-march=armv8-a"
    raise NativeError(f"no native code on {machine} with {capability}")


@dataclass(frozen=True)
class Compiled:
    """One C source and what it is compiled with besides `FLAGS`."""

    source: Path
    flags: tuple[str, ...] = ()

    def load(self) -> ctypes.CDLL:
        """The library, built if need be. Raises NativeError."""
        try:
            return ctypes.CDLL(str(self.build()))
        except OSError as error:
            raise NativeError(str(error)) from error

    def optional(self, doing: str, log: logging.Logger) -> ctypes.CDLL | None:
        """The library, built if need be; None, and one line in the log, where it cannot be had."""
        try:
            return self.load()
        except NativeError as error:
            log.warning("%s without the native library: %s", doing, error)
            return None

    def build(self) -> Path:
        """Compiles unless it was done. Raises NativeError."""
        places = self._places()
        if found := next((place for place in places if place.exists()), None):
            return found
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            raise NativeError("no C compiler")
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "made.o"
            flags = (*FLAGS, *self.flags, target())
            _run([compiler, *flags, "-c", str(self.source), "-o", str(made)])
            # without -fopenmp: OpenMP's symbols come from the library that PyTorch has loaded,
            # so that both share one pool of threads
            shared = made.with_suffix(".so")
            _run([compiler, "-shared", "-Wl,-z,now", str(made), "-o", str(shared), "-lm"])
            return _install(shared, places)

    def _places(self) -> list[Path]:
        """Where the library may be, the best first."""
        flags = " ".join((*FLAGS, *self.flags, target()))
        key = hashlib.sha256(self.source.read_bytes() + flags.encode()).hexdigest()
        name = f"{self.source.stem}-{key[:16]}.so"
        return [self.source.with_name(name), cache_dir() / name]


def report(what: str, library: Compiled) -> None:
    """Compile at install, and say how it went: nothing that needs it stops without it."""
    try:
        print(f"{what}: {library.build()}")
    except NativeError as error:
        print(f"{what} is off: {error}")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise NativeError(f"{command[0]}: {done.stderr.strip()[:300]}")


def _install(made: Path, places: Sequence[Path]) -> Path:
    for place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            staged = place.with_suffix(f".{os.getpid()}")
            shutil.copy(made, staged)
            return staged.rename(place)  # atomic: other processes may be starting
        except OSError:
            continue
    raise NativeError(f"{places[-1].parent} cannot be written")
