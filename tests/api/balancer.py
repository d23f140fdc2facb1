"""A load balancer as small as one can be: new connections go to whoever is ready."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence

import httpx

CHECK_SECONDS = 0.1


class Balancer:
    """Forwards TCP connections to ready backends in turn; looks every 100 ms who is ready."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports, self._ready, self._turn = list(ports), list(ports), 0
        self._stopped = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Its URL."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), loop).result()
        checks = asyncio.run_coroutine_threadsafe(self._check(), loop)
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            self._stopped = True
            checks.result()  # a check that is cancelled may leave its connection open
            loop.call_soon_threadsafe(server.close)
            asyncio.run_coroutine_threadsafe(self._finish(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _check(self) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while not self._stopped:
                self._ready = [port for port in self._ports if await _is_ready(client, port)]
                await asyncio.sleep(CHECK_SECONDS)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        port = self._ready[self._turn % len(self._ready)]
        with self._closing(writer):
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
            with self._closing(back_writer):
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_copy(reader, back_writer)),
                        asyncio.ensure_future(_copy(back_reader, writer)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )

    @contextlib.contextmanager
    def _closing(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        with contextlib.closing(writer):
            yield

    async def _finish(self) -> None:
        """Nothing is left open, sent or not."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def _is_ready(client: httpx.AsyncClient, port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success
    return False


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
