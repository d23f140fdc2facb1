"""The container's own command with the real model, under exactly the chart's environment.

tests/chart/test_smoke.py does the same in a blink on the fake engine; scripts/image in the image.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

from benchmarks.processes import free_port
from tests.chart.rendering import ROOT, render
from tests.chart.test_smoke import VALUES, mounted, smoke
from tests.chart.tls import guarded_valkey

LOAD_SECONDS = 900  # patience, not a claim: the machine may be busy
KEPT = ("HOME", "LARIMAR_CACHE_DIR")  # where this machine's base weights are


def await_ok(url: str, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LOAD_SECONDS
    while True:
        assert service.poll() is None, "it ended"
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=LOAD_SECONDS).is_success:
                return
        assert time.monotonic() < deadline, f"{url} never succeeded"
        time.sleep(0.1)


def test_it_loads_serves_and_drains_as_the_chart_starts_it(tmp_path: Path) -> None:
    release = render(VALUES)
    data = tmp_path / "valkey"
    data.mkdir()
    with guarded_valkey(data) as guarded:
        port, log = str(free_port()), tmp_path / "log"
        given = mounted(release, guarded, tmp_path) | {"LARIMAR_PORT": port}
        moved = {name: text.replace("/etc/larimar", str(tmp_path)) for name, text in given.items()}
        own = {name: os.environ[name] for name in KEPT if name in os.environ}
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = [ROOT / "docker" / "entrypoint.sh", *release.container["args"]]
        with log.open("w") as out, subprocess.Popen(
            command, cwd=tmp_path, env=own | moved | {"PATH": programs}, stdout=out, stderr=out
        ) as service:  # fmt: skip
            try:
                url = f"http://127.0.0.1:{port}"
                for probe in ("livenessProbe", "startupProbe"):  # alive while it loads
                    path = release.container[probe]["httpGet"]["path"]
                    await_ok(url + path, service)
                done = smoke(url, tmp_path / "admin" / "admin-key")
                assert (done.returncode, done.stderr) == (0, ""), log.read_text("utf-8")
                service.send_signal(signal.SIGTERM)
                service.wait(timeout=release.pod["terminationGracePeriodSeconds"])
                assert service.returncode == 0, log.read_text("utf-8")
            finally:
                service.kill()
