"""A service that really listens, in a thread of the test process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from service import logs
from service.app import create_app
from service.connection import Connection
from service.engine.protocol import Engine
from service.resources import Service
from service.settings import Settings

ADMIN_KEY = "lrm_admin_for-the-tests-only"
START_SECONDS = 300  # the real engine loads a model


@dataclass(frozen=True)
class Running:
    """A listening service and what is inside it."""

    url: str
    service: Service

    def client(self, key: str | None = ADMIN_KEY, **headers: str) -> httpx.Client:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=300)


def settings(redis_url: str, **changes: Any) -> Settings:
    given = {"redis_url": redis_url, "admin_key": ADMIN_KEY, "log_level": "error"}
    return Settings(**(given | changes))


@contextmanager
def listening(
    settings: Settings, engine: Engine | None = None, *, until_ready: bool = True
) -> Iterator[Running]:
    """The service behind a free port; ready, unless told otherwise."""
    logs.configure(settings)
    app = create_app(settings, engine=engine)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=Connection, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        _wait(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        service: Service = app.state.service
        if until_ready:
            _wait(lambda: service.lifecycle.state != "starting")
            assert service.lifecycle.state == "ready", service.lifecycle.failure
        yield Running(f"http://127.0.0.1:{port}", service)
    finally:
        server.should_exit = True
        thread.join()


def _wait(done: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not done():
        assert time.monotonic() < deadline, "the service does not start"
        time.sleep(0.01)
