"""The embedded Valkey's life: locked, adopted, never doubled; what it acknowledged is there."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from memory_store.embedded import EmbeddedValkey
from memory_store.errors import DataDirLocked, StoreUnavailable
from memory_store.redis_store import RedisStore, connect
from tests.contract.conftest import request
from tests.unit.memory_store.facts import SMALL, fact

SERVE = """
import sys, time
from pathlib import Path
from memory_store.embedded import EmbeddedValkey
server = EmbeddedValkey(Path(sys.argv[1]), "http://127.0.0.1:8000")
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that serves from the folder, and the pid of its Valkey."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    with process.stdout:
        yield process, int(process.stdout.readline())
    process.kill()
    process.wait()


def test_a_second_server_on_the_folder_is_told_who_holds_it(
    parent: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    with pytest.raises(DataDirLocked, match=rf"pid {parent[0].pid} http://127.0.0.1:8000"):
        EmbeddedValkey(tmp_path).start()
    os.kill(parent[1], signal.SIGTERM)


def test_an_orphan_is_adopted(parent: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    parent[0].send_signal(signal.SIGKILL)
    parent[0].wait()
    server = EmbeddedValkey(tmp_path)
    with redis.Redis.from_url(server.start()) as client:
        assert server.pid == parent[1]
        assert client.config_get("appendfsync")["appendfsync"] == "always"
    server.stop()
    with pytest.raises(StoreUnavailable):
        _ = server.pid


def test_an_orphan_out_of_reach_is_never_doubled(
    parent: tuple[subprocess.Popen[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket file was cleaned away: two servers on one append-only file would ruin it."""
    parent[0].send_signal(signal.SIGKILL)
    parent[0].wait()
    server = EmbeddedValkey(tmp_path)
    Path(server.url.removeprefix("unix://")).unlink()
    monkeypatch.setattr("memory_store.embedded.START_SECONDS", 0.2)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        server.start()
    os.kill(parent[1], signal.SIGTERM)


def test_only_this_user_can_reach_it_by_the_socket_and_it_logs_no_command(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    socket = Path(server.start().removeprefix("unix://"))
    try:
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("port")["port"] == "0"
            logged = client.config_get("commandlog-execution-*-than", "commandlog-request-*-than")
            assert set(logged.values()) == {"-1"}  # they would outlast an erasure
    finally:
        server.stop()


def test_stop_and_start_again(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    for expected in (None, b"kept"):
        with redis.Redis.from_url(server.start()) as client:
            assert client.get("key") == expected
            client.set("key", "kept")
        server.stop()


@pytest.mark.anyio
async def test_facts_survive_a_killed_valkey(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    store = RedisStore(connect(server.start()), SMALL)
    await store.create_tenant("acme")
    await store.write("acme", [fact(1), fact(2)], request())
    await store.forget("acme", request(), cues=[fact(2).cue])
    os.kill(server.pid, signal.SIGKILL)
    await store.close()
    server.stop()
    store = RedisStore(connect(server.start()), SMALL)
    try:
        view = await store.view("acme")
        assert view.info.version == 2
        assert view.read(fact(1).address[None]).weights[0][0] > 0.9
        assert len(view.latents()) == 1
    finally:
        await store.close()
        server.stop()


@pytest.mark.anyio
async def test_stores_go_on_after_valkey_was_restarted(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    store = RedisStore(connect(server.start()), SMALL)
    try:
        await store.create_tenant("acme")
        await store.write("acme", [fact(1)], request())
        server.stop()
        assert not await store.ping()
        with pytest.raises(StoreUnavailable):
            await store.write("acme", [fact(2)], request())
        server.start()
        await store.write("acme", [fact(2)], request())
        assert (await store.memory("acme")).info.facts == 2
    finally:
        await store.close()
        server.stop()
