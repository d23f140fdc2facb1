"""Real processes of the service, with their own ports and data folders: for proofs and tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

ROOT = Path(__file__).parents[1]
SECONDS = 180  # patience, not a claim: the machine may be busy


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """One `larimar serve`. Its data folder makes it embedded, unless `environment` names a Redis.

    `delay` is the fake engine's seconds a token; None is the real model. What it writes goes to
    files: a pipe that nobody reads would stop it.
    """

    def __init__(self, data_dir: Path, delay: float | None = 0.0, **environment: str) -> None:
        port = environment.get("LARIMAR_PORT", "")
        self.data_dir, self.port = data_dir, int(port) if port.isdigit() else free_port()
        settings = {
            "LARIMAR_PORT": str(self.port),
            "LARIMAR_DATA_DIR": str(data_dir),
            "LARIMAR_LOG_LEVEL": "warning",
            "LARIMAR_DRAIN_DELAY": "0",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LARIMAR_")}
        command = ["cli.main", "serve"]
        if delay is not None:
            command = ["benchmarks.fake_service", str(delay)]
        self._out, self._err = (tempfile.TemporaryFile() for _ in "oe")  # noqa: SIM115
        self._written: tuple[str, str] | None = None
        self.popen = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=kept | settings | environment,
            stdout=self._out,
            stderr=self._err,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        key = (self.data_dir / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS)

    def ready(self) -> bool:
        assert self.popen.poll() is None, _read(self._err)
        try:
            return httpx.get(f"{self.url}/readyz", timeout=SECONDS).is_success
        except httpx.TransportError:
            return False

    def end(self) -> tuple[int, str, str]:
        """Status, standard output and standard error, once it has ended by itself."""
        status = self.popen.wait(timeout=SECONDS)
        if not self._written:
            self._written = (_read(self._out), _read(self._err))
            self._out.close()
            self._err.close()
        return status, *self._written


def _read(file: IO[bytes]) -> str:
    """All of it, from the start; the process goes on writing where it was."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


@contextmanager
def process(data_dir: Path, delay: float | None = 0.0, **environment: str) -> Iterator[Process]:
    """A ready one; killed at the end, its Valkey too."""
    one = Process(data_dir, delay, **environment)
    try:
        until(one.ready)
        yield one
    finally:
        if one.popen.poll() is None:
            one.popen.terminate()
        one.end()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
