"""Real processes of the service, with their own ports and data folders."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
SECONDS = 180  # patience, not a claim: the machine may be busy


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """One `larimar serve` with the fake engine. Its data folder makes it embedded."""

    def __init__(self, data_dir: Path, delay: float = 0.0, **environment: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        settings = {
            "LARIMAR_PORT": str(self.port),
            "LARIMAR_DATA_DIR": str(data_dir),
            "LARIMAR_LOG_LEVEL": "warning",
            "LARIMAR_DRAIN_DELAY": "0",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LARIMAR_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.api.fake_service", str(delay)],
            cwd=ROOT,
            env=kept | settings | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        key = (self.data_dir / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS)

    def ready(self) -> bool:
        assert self.popen.poll() is None, self.popen.communicate()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=SECONDS).is_success
        except httpx.TransportError:
            return False

    def end(self) -> tuple[int, str, str]:
        """Status, standard output and standard error, once it has ended by itself."""
        out, err = self.popen.communicate(timeout=SECONDS)
        return self.popen.returncode, out, err


@contextmanager
def process(data_dir: Path, delay: float = 0.0, **environment: str) -> Iterator[Process]:
    """A ready one; killed at the end, its Valkey too."""
    one = Process(data_dir, delay, **environment)
    try:
        until(one.ready)
        yield one
    finally:
        if one.popen.poll() is None:
            one.popen.terminate()
        one.popen.communicate(timeout=SECONDS)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
