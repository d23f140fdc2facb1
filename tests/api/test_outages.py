"""What a client is told while the store is full, damaged or away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from benchmarks.servers import until
from memory_store.embedded import EmbeddedValkey
from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import listening, settings

OTHER = {"prompt": "The capital of Spain is", "target": "Bilbao"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that may be hurt."""
    valkey = EmbeddedValkey(tmp_path)
    valkey.start()
    yield valkey
    valkey.stop()


@pytest.fixture
def tenant(server: EmbeddedValkey) -> Iterator[Tenant]:
    """With one fact, of a service on that Valkey."""
    with listening(settings(server.url), FakeEngine()) as running, running.client() as admin:
        made = Tenant(admin, "acme")
        ok(admin.put(made.path))
        made.write(FACT)
        yield made


def test_a_full_store_refuses_and_still_erases(server: EmbeddedValkey, tenant: Tenant) -> None:
    with redis.Redis.from_url(server.url) as valkey:
        valkey.config_set("maxmemory", 1)
        error(tenant.post("write", {"facts": [OTHER]}), 507, "store_full")
        assert [fact["prompt"] for fact in tenant.facts()] == [CAPITAL]
        assert tenant.forget(prompts=[CAPITAL])["results"][0]["status"] == "erased"
        assert tenant.facts() == []
        valkey.config_set("maxmemory", 0)
    tenant.write(OTHER)


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_start_on_a_redis_that_may_evict_is_warned_of(
    server: EmbeddedValkey, policy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with redis.Redis.from_url(server.url) as valkey:
        valkey.config_set("maxmemory-policy", policy)
    with listening(settings(server.url, log_level="warning"), FakeEngine()):
        pass
    assert capfd.readouterr().err.count("maxmemory_policy") == (policy != "noeviction")


def away(tenant: Tenant) -> float:
    """How often somebody was told that the store is away."""
    text = tenant.client.get("/metrics").text
    return float(text.split("\nlarimar_store_unavailable_total ")[1].split("\n")[0])


def test_reads_go_on_and_say_so_while_it_is_away(server: EmbeddedValkey, tenant: Tenant) -> None:
    def read() -> tuple[bool, str, str | None]:
        """Stale, what the latent says, what the store says beside it."""
        reply = ok(tenant.post("read", {"queries": [CAPITAL]}))
        (result,) = reply["results"]
        return reply["stale"], result["text"], result["matches"][0]["text"]

    before = read()
    os.kill(server.pid, signal.SIGKILL)
    assert read() == (True, before[1], None)
    counted = away(tenant)
    for change in ("write", {"facts": [OTHER]}), ("forget", {"prompts": [CAPITAL]}):
        refused = tenant.post(*change)
        error(refused, 503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert read() == (True, before[1], None)
    assert ok(tenant.client.get("/readyz"))["store"] == "down"
    assert away(tenant) == counted + 3
    server.stop()
    server.start()
    until(lambda: read() == before, seconds=60)
    assert before[0] is False
    tenant.write(OTHER)


def test_a_damaged_page_is_named_and_others_go_on(server: EmbeddedValkey, tenant: Tenant) -> None:
    neighbour = Tenant(tenant.client, "neighbour")
    ok(tenant.client.put(neighbour.path))
    neighbour.write(FACT)
    with redis.Redis.from_url(server.url) as valkey:
        (page,) = valkey.scan_iter("larimar:{acme}:*:page:0")
        valkey.setrange(page, 300, b"\xff")
        valkey.hset("larimar:{acme}:meta", "change", "another")  # so that it is loaded again
    assert (
        "page 0"
        in error(tenant.post("read", {"queries": [CAPITAL]}), 500, "page_corrupt")["message"]
    )
    assert ok(neighbour.post("read", {"queries": [CAPITAL]}))["results"][0]["in_scope"]
