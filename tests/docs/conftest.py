"""A service that the documentation talks to, as a process: with a key file, receipts, a default
tenant, as whoever follows the documentation has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.processes import Process, process
from tests.docs.blocks import Runner, Shell


@pytest.fixture(scope="package")
def served(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Process]:
    data = tmp_path_factory.mktemp("docs")
    real = pytestconfig.getoption("--engine") == "real"
    with process(data, None if real else 0.0) as one:
        yield one


@pytest.fixture
def runner(
    served: Process,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> Iterator[Runner]:
    """For one page, with an empty tenant `default` and no other."""
    with served.client() as client:
        for tenant in client.get("/v1/tenants").json()["tenants"]:
            client.delete(f"/v1/tenants/{tenant}").raise_for_status()
        client.put("/v1/tenants/default").raise_for_status()
    for name, value in {
        "LARIMAR_URL": served.url,
        "LARIMAR_KEY": (served.data_dir / "admin.key").read_text().strip(),
        "LARIMAR_DATA_DIR": str(served.data_dir),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, os.environ)
    names = {
        "http://127.0.0.1:8000": served.url,
        "~/.local/share/larimar": str(served.data_dir),
    }
    yield Runner(shell, names, pytestconfig.getoption("--engine") == "real")
    shell.close()
