"""The server of one process, from the first socket to the drained last reply.

uvicorn closes its listener on SIGTERM, and a load balancer that has not noticed yet would see
connections refused. So the signals are ours: the first starts the drain, and only then uvicorn
stops; a second one ends at once. Redis is closed last, when no request can need it any more.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from service.app import create_app
from service.connection import Connection
from service.engine.protocol import Engine
from service.lifecycle import Lifecycle
from service.settings import Settings

log = structlog.get_logger()
KEEP_ALIVE_SECONDS = 75  # above the 60 of common proxies, which would reuse a closing connection
ACCEPT = 2048


class Server(uvicorn.Server):
    """uvicorn's server with a drain in front of its shutdown."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, settings: Settings) -> None:
        super().__init__(config)
        self._lifecycle, self._settings = lifecycle, settings
        self._drain: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals inside the loop; put nothing back, the process ends after this."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop, self._settings.drain_delay)
        loop.add_signal_handler(signal.SIGINT, self.stop, 0.0)  # a person waits for it
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGINT)

    def stop(self, delay: float) -> None:
        """Drain and exit; called again, exit."""
        if self._drain is not None:
            self._lifecycle.cut.set()
            self.should_exit = self.force_exit = True
            return
        log.info("draining", delay=delay)
        self._drain = asyncio.get_running_loop().create_task(self._drained(delay))

    async def _drained(self, delay: float) -> None:
        await self._lifecycle.drain(delay, self._settings.drain_timeout)
        self.should_exit = True


async def serve(
    settings: Settings,
    socks: list[socket.socket],
    on_ready: Callable[[], None],
    engine: Engine | None = None,
) -> bool:
    """Serve until drained; True if it went well. Raises what keeps the service from starting."""
    app = create_app(settings, engine=engine)
    service = app.state.service
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",  # there are none: an upgrade is answered as the plain request that it is
        lifespan="off",  # ours surrounds the server, so that its errors arrive here
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,  # the drain has waited already
        backlog=ACCEPT,
    )
    server = Server(config, service.lifecycle, settings)

    async def follow() -> None:
        """Say when it is ready; leave when it has failed."""
        await service.started()
        if service.lifecycle.state == "ready":
            on_ready()
        await service.lifecycle.failed.wait()
        server.stop(0.0)

    async with app.router.lifespan_context(app):
        following = asyncio.create_task(follow())
        try:
            await server.serve(sockets=socks)
        finally:
            following.cancel()
            await asyncio.wait([following])
    return service.lifecycle.failure is None
