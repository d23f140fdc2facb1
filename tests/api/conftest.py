"""One service and one Valkey for the session; a tenant for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from memory_store.embedded import EmbeddedValkey
from service.engine.fake import FakeEngine
from tests.api.calls import Tenant
from tests.api.running import Running, listening, settings

_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def running(valkey: str, pytestconfig: pytest.Config) -> Iterator[Running]:
    real = pytestconfig.getoption("--engine") == "real"
    with listening(settings(valkey), None if real else FakeEngine()) as one:
        yield one


@pytest.fixture(scope="session")
def admin(running: Running) -> Iterator[httpx.Client]:
    """A client that may do everything."""
    with running.client() as client:
        yield client


@pytest.fixture
def tenant(admin: httpx.Client) -> Tenant:
    """A new tenant, called by the administrator."""
    one = Tenant(admin, f"t{next(_numbers)}")
    admin.put(one.path).raise_for_status()
    return one
