"""A real service in a process of its own, for benchmarks that call it over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

START_SECONDS = 300


@contextmanager
def served(data_dir: Path, module: str = "benchmarks.endless_service") -> Iterator[tuple[str, str]]:
    """Address and admin key of a ready service on a free port, with an embedded Valkey."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    environment = {"LARIMAR_PORT": str(port), "LARIMAR_DATA_DIR": str(data_dir),
                   "LARIMAR_LOG_LEVEL": "warning", "LARIMAR_DRAIN_DELAY": "0"}  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LARIMAR_")}
    cache = {k: v for k, v in os.environ.items() if k == "LARIMAR_CACHE_DIR"}
    process = subprocess.Popen([sys.executable, "-m", module], env=kept | cache | environment,  # noqa: S603
                               stdout=subprocess.DEVNULL)  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url)
        yield url, (data_dir / "admin.key").read_text().strip()
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the service does not start")
        try:
            if httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the service does not get ready")
