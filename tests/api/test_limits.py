"""Quotas and rates: a clear refusal, never a silent loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from benchmarks.processes import until
from memory_store.embedded import EmbeddedValkey
from memory_store.errors import StoreUnavailable
from service import limits
from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings


def limited(tenant: Tenant, **quota: int) -> dict[str, Any]:
    return ok(tenant.client.put(tenant.path, json={"quota": quota}))


def usage(tenant: Tenant) -> dict[str, Any]:
    return ok(tenant.client.get(f"{tenant.path}/usage"))


@pytest.fixture(autouse=True)
def early_in_the_minute() -> None:
    """Rates are of the calendar's minute: do not straddle two."""
    if time.time() % 60 > 50:
        time.sleep(60 - time.time() % 60)


def test_too_many_facts_are_refused(tenant: Tenant) -> None:
    assert limited(tenant, facts=3)["quota"]["facts"] == 3
    tenant.write({"text": "one"}, {"text": "two"})
    two_more = {"facts": [{"text": "three"}, {"text": "four"}]}
    error(tenant.post("write", two_more), 409, "quota_exceeded")
    assert usage(tenant)["facts"] == {"used": 2, "quota": 3}
    tenant.write({"text": "ONE"}, {"text": "three"})  # a replacement takes no room
    error(tenant.post("documents", {"text": "A sentence."}), 409, "quota_exceeded")


def test_too_many_bytes_are_refused(tenant: Tenant) -> None:
    tenant.write(FACT)
    used = usage(tenant)["bytes"]["used"]
    assert used > 2 * (256 + 1024)
    limited(tenant, bytes=used + 100)
    for verb, body in [
        ("write", {"facts": [{"text": "another"}]}),
        ("documents", {"text": "A sentence."}),
        ("forget", {"prompts": ["another"], "mode": "suppress"}),
    ]:
        error(tenant.post(verb, body), 409, "quota_exceeded")
    assert usage(tenant)["bytes"] == {"used": used, "quota": used + 100}
    tenant.forget(prompts=[CAPITAL])  # forgetting always works


def test_at_the_quota_of_bytes_what_takes_no_room_is_not_refused(tenant: Tenant) -> None:
    sent = {"facts": [FACT]}
    first = ok(tenant.post("write", sent, **{"Idempotency-Key": "once"}))
    limited(tenant, bytes=usage(tenant)["bytes"]["used"] + 20)  # a time may take more digits
    assert ok(tenant.post("write", sent, **{"Idempotency-Key": "once"})) == first
    assert tenant.write(FACT | {"target": "Nice"})["results"][0]["status"] == "replaced"
    longer = {"facts": [FACT | {"target": "Nice" * 20}]}
    error(tenant.post("write", longer), 409, "quota_exceeded")
    assert tenant.text(CAPITAL) == " Nice"


def test_too_many_requests_wait(tenant: Tenant) -> None:
    limited(tenant, requests_per_minute=3)
    for _ in range(3):
        tenant.text(CAPITAL)
    response = tenant.post("generate", {"prompt": CAPITAL})
    error(response, 429, "rate_limited")
    assert 1 <= int(response.headers["Retry-After"]) <= 61
    error(tenant.client.get(tenant.path), 429, "rate_limited")
    limited(tenant, requests_per_minute=100)  # administration is never limited
    assert usage(tenant)["requests_per_minute"]["quota"] == 100


def test_too_many_tokens_wait(tenant: Tenant) -> None:
    limited(tenant, tokens_per_minute=6)
    assert tenant.generate(CAPITAL)["usage"]["completion_tokens"] == 4
    tenant.text(CAPITAL)  # begins below the limit, and overruns it
    assert usage(tenant)["tokens_per_minute"] == {"used": 6, "quota": 6}
    for stream in (False, True):
        body = {"prompt": CAPITAL, "stream": stream}
        error(tenant.post("generate", body), 429, "rate_limited")
    header = {"X-Larimar-Tenant": tenant.name}
    chat = {"model": "base", "messages": [{"role": "user", "content": "x"}]}
    response = tenant.client.post("/v1/chat/completions", json=chat, headers=header)
    error(response, 429, "rate_limited")
    ok(tenant.post("read", {"queries": [CAPITAL]}))  # reading costs no tokens


def test_who_hangs_up_has_used_the_tokens_all_the_same(valkey: str) -> None:
    with listening(settings(valkey), FakeEngine(delay=0.05)) as slow, slow.client() as client:
        tenant = Tenant(client, "hangs-up")
        limited(tenant, tokens_per_minute=1000)
        body = {"prompt": CAPITAL, "stream": True, "memory": "never"}
        with client.stream("POST", f"{tenant.path}/generate", json=body) as response:
            next(response.iter_lines())
        until(lambda: usage(tenant)["tokens_per_minute"]["used"] >= 1)
        assert slow.service.metrics.tokens.labels("completion")._value.get() >= 1


def test_one_tenant_s_limit_is_not_another_s(admin: httpx.Client, tenant: Tenant) -> None:
    other = Tenant(admin, f"{tenant.name}-other")
    admin.put(other.path).raise_for_status()
    limited(tenant, requests_per_minute=1)
    tenant.text(CAPITAL)
    error(tenant.post("generate", {"prompt": CAPITAL}), 429, "rate_limited")
    for _ in range(3):
        other.text(CAPITAL)


def test_limits_are_off_by_default_and_end_with_their_tenant(
    admin: httpx.Client, tenant: Tenant
) -> None:
    free = {"used": None, "quota": None}
    assert usage(tenant)["requests_per_minute"] == free
    limited(tenant, requests_per_minute=5, tokens_per_minute=5)
    assert ok(admin.put(tenant.path))["quota"]["requests_per_minute"] == 5
    admin.delete(tenant.path)
    admin.put(tenant.path)
    assert usage(tenant)["tokens_per_minute"] == free


def test_limits_do_not_outlive_a_deletion_that_was_cut_short(
    running: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(tenant, bytes=7)

    async def away(tenant: str) -> None:
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(running.service.limits, "drop", away)
        error(tenant.client.delete(tenant.path), 503, "store_unavailable")
    error(tenant.client.delete(tenant.path), 404, "tenant_not_found")
    assert limited(tenant)["quota"]["bytes"] is None


def test_the_settings_limit_tenants_without_limits_of_their_own(valkey: str) -> None:
    with (
        listening(settings(valkey, requests_per_minute=2), FakeEngine()) as running,
        running.client() as client,
    ):
        for name in ("by-default", "by-itself"):
            client.put(f"/v1/tenants/{name}")
        own = Tenant(client, "by-itself")
        limited(own, requests_per_minute=4)
        for name, most in [("by-default", 2), ("by-itself", 4)]:
            for _ in range(most):
                ok(client.get(f"/v1/tenants/{name}"))
            error(client.get(f"/v1/tenants/{name}"), 429, "rate_limited")


@pytest.fixture
def alone(tmp_path: Any) -> Iterator[tuple[EmbeddedValkey, Running]]:
    """A service on a Valkey that a test may stop."""
    valkey = EmbeddedValkey(tmp_path)
    given = settings(valkey.start(), requests_per_minute=1000, log_level="critical")
    with listening(given, FakeEngine()) as running:
        yield valkey, running
    valkey.stop()


def test_a_slow_redis_does_not_lift_a_tenant_s_own_limits(
    alone: tuple[EmbeddedValkey, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FRESH_SECONDS", 0)
    valkey, running = alone
    url = valkey.url

    async def paused() -> limits.TenantLimits:
        async with Redis.from_url(url) as redis:
            held = limits.Limits(redis, running.service.settings)
            before = await held.change("own", bytes=7)
            assert await held.of("own") == before
            await redis.client_pause(2000, all=True)
            return await held.of("own")

    assert asyncio.run(paused()) == limits.TenantLimits(bytes=7, requests_per_minute=1000)


def test_without_redis_reads_go_on_and_say_so(alone: tuple[EmbeddedValkey, Running]) -> None:
    valkey, running = alone
    with running.client() as client:
        client.put("/v1/tenants/outage")
        tenant = Tenant(client, "outage")
        tenant.write(FACT)
        key = ok(client.post("/v1/keys", json={"tenants": "*", "scopes": ["generate"]}))["key"]
        with running.client(key) as seen:
            assert Tenant(seen, "outage").text(CAPITAL) == " Lyon"
            valkey.stop()
            reply = ok(tenant.post("generate", {"prompt": CAPITAL}))
            assert (reply["results"][0]["text"], reply["stale"]) == (" Lyon", True)
            assert Tenant(seen, "outage").text(CAPITAL) == " Lyon"  # a key seen lately goes on
        unknown = "lrm_0123456789ab_" + "A" * 43
        with running.client(unknown) as stranger:
            error(stranger.get("/v1/models"), 503, "store_unavailable")  # not 401: who knows?
        response = tenant.post("write", {"facts": [FACT]})
        error(response, 503, "store_unavailable")
        assert response.headers["Retry-After"]
        assert ok(client.get("/readyz"))["store"] == "down"
        assert "larimar_stale_reads_total" in client.get("/metrics").text
