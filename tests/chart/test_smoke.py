"""The container's command under the chart's own environment, and the script of `helm test`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from redis.exceptions import RedisError

from benchmarks.processes import Process, process
from memory_store.redis_store import connect
from tests.chart.rendering import ROOT, Release, environment, render
from tests.chart.tls import Guarded, guarded_valkey

ADMIN_KEY = "an-admin-key-of-the-tests"
METRICS_TOKEN = "a-metrics-token-of-the-tests"
VALUES = {
    "gpu": {"count": 0},
    "auth": {"existingSecret": "admin"},
    "redis": {"existingSecret": "redis", "caSecret": "authority"},
    "metrics": {"token": METRICS_TOKEN},
    "settings": {"drainDelay": 0.3, "logLevel": "warning"},
}


def smoke(url: str, key_file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(ROOT / "docker" / "smoke.py"), url, str(key_file)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded_valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


def mounted(release: Release, guarded: Guarded, folder: Path) -> dict[str, str]:
    """The container's variables; what a kubelet would mount at /etc/larimar is in `folder`."""
    secrets = {
        ("redis", "redis-url"): guarded.url,
        ("rel-larimar-metrics", "token"): METRICS_TOKEN,
    }
    mounts = {"admin/admin-key": ADMIN_KEY.encode(), "redis-ca/ca.crt": guarded.authority}
    for name, content in mounts.items():
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    return environment(release, secrets)


@contextmanager
def deployed(release: Release, guarded: Guarded, folder: Path) -> Iterator[Process]:
    """The chart's container, as far as a process is one."""
    found = mounted(release, guarded, folder)
    del found["LARIMAR_PORT"]  # a free one instead
    moved = {name: value.replace("/etc/larimar", str(folder)) for name, value in found.items()}
    with process(folder, 0.0, **moved) as one:
        yield one


def test_it_runs_against_valkey_with_tls_and_password_and_drains(
    guarded: Guarded, tmp_path: Path
) -> None:
    release = render(VALUES)
    with deployed(release, guarded, tmp_path) as one:
        done = smoke(one.url, tmp_path / "admin" / "admin-key")
        assert (done.returncode, done.stderr) == (0, "")
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        tenants = httpx.get(f"{one.url}/v1/tenants", headers=headers).json()
        assert tenants == {"tenants": []}  # the test of a serving release leaves nothing
        (tmp_path / "wrong").write_text("a-key-that-nobody-made")
        refused = smoke(one.url, tmp_path / "wrong")
        assert refused.returncode == 1
        assert "401" in refused.stderr
        token = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        assert httpx.get(f"{one.url}/metrics").status_code == 401
        assert httpx.get(f"{one.url}/metrics", headers=token).status_code == 200
        one.popen.send_signal(signal.SIGTERM)
        grace = release.pod["terminationGracePeriodSeconds"]
        one.popen.wait(timeout=grace)  # after it a kubelet kills
        assert one.popen.returncode == 0


@pytest.mark.anyio
async def test_tls_means_that_the_certificate_is_checked(guarded: Guarded) -> None:
    stranger = connect(guarded.url)  # does not know the authority
    with pytest.raises(RedisError, match="CERTIFICATE_VERIFY_FAILED"):
        await stranger.ping()
    await stranger.aclose()


class Broken(BaseHTTPRequestHandler):
    """Answers every call well, but generates the same thing whatever was written."""

    answer: ClassVar[dict[str, Any]]

    def _reply(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        result = {"id": "f", "status": "erased" if "forget" in self.path else "written"}
        body = json.dumps({"results": [result | self.answer]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _reply

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"in_scope": False, "text": " somebody"}, "the fact is not used"),
        ({"in_scope": True, "text": " somebody"}, "the fact is not used"),
        ({"in_scope": True, "text": " Ondine Vasari"}, "the fact is still used"),
        ({"status": "suppressed"}, "the fact was not written"),
    ],
)
def test_a_service_that_does_not_edit_fails_it(
    tmp_path: Path, answer: dict[str, Any], failure: str
) -> None:
    (tmp_path / "key").write_text(ADMIN_KEY)
    handler = type("Handler", (Broken,), {"answer": answer})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = smoke(f"http://127.0.0.1:{server.server_port}", tmp_path / "key")
        server.shutdown()
        thread.join()
    assert done.returncode == 1
    assert failure in done.stderr
