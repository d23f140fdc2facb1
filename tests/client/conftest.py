"""Both clients against the real application over real HTTP, with a proxy that can fail between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import pytest
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from larimar_client import AsyncLarimar, Larimar, Retry, Tenant
from larimar_client import aio as aio_module
from larimar_client import client as client_module
from memory_store.embedded import EmbeddedValkey
from service.engine.fake import FakeEngine
from tests.api.running import ADMIN_KEY, Running, listening, settings
from tests.client.bridge import Bridge
from tests.client.proxy import Proxy, proxied

_numbers = itertools.count()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    receipts = tmp_path_factory.mktemp("receipts") / "receipt.pem"
    receipts.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    try:
        with listening(settings(valkey.start(), receipt_key_file=receipts), FakeEngine()) as one:
            yield one
    finally:
        valkey.stop()


@pytest.fixture(scope="session")
def one_proxy(running: Running) -> Iterator[Proxy]:
    with proxied(running.url) as one:
        yield one


@pytest.fixture
def proxy(one_proxy: Proxy) -> Iterator[Proxy]:
    """Without faults, with nothing seen."""
    yield one_proxy
    one_proxy.faults.clear()
    one_proxy.seen.clear()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a client wanted to wait between attempts; nobody waits them."""
    seconds: list[float] = []

    async def note(wait: float) -> None:
        seconds.append(wait)

    monkeypatch.setattr(client_module, "sleep", seconds.append)
    monkeypatch.setattr(aio_module, "sleep", note)
    return seconds


@pytest.fixture(params=["blocking", "asyncio"])
def larimar(request: pytest.FixtureRequest, proxy: Proxy, waits: list[float]) -> Iterator[Larimar]:
    """A client; what is tested of one is tested of the other."""
    retry = Retry(attempts=4)
    if request.param == "blocking":
        with Larimar(proxy.url, ADMIN_KEY, retry=retry) as one:
            yield one
        return
    with start_blocking_portal() as portal:
        client = portal.call(lambda: _made(proxy.url, retry))
        yield cast(Larimar, Bridge(portal, client))
        portal.call(client.aclose)


async def _made(url: str, retry: Retry) -> AsyncLarimar:
    return AsyncLarimar(url, ADMIN_KEY, retry=retry)


@pytest.fixture
def memory(larimar: Larimar, proxy: Proxy) -> Tenant:
    """A new tenant of its own."""
    name = f"c{next(_numbers)}"
    larimar.put_tenant(name)
    proxy.seen.clear()
    return larimar.tenant(name)
