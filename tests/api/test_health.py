"""Probes, metrics, documentation, and the committed description of the API."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase

from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.mark.real_engine
def test_a_started_service_is_alive_and_ready(running: Running) -> None:
    with running.client(None) as anyone:
        assert ok(anyone.get("/livez")) == {"status": "alive"}
        assert ok(anyone.get("/readyz"))["store"] == "up"


def test_a_store_that_hangs_fails_no_probe(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> bool:
        await asyncio.sleep(3600)
        return True

    monkeypatch.setattr(running.service.store, "ping", hang)
    with running.client(None) as anyone:
        assert ok(anyone.get("/readyz"))["store"] == "down"


class Loading(FakeEngine):
    """An engine whose model takes its time."""

    async def start(self) -> None:
        await asyncio.sleep(3600)


def test_a_starting_service_is_alive_but_not_ready(valkey: str) -> None:
    with (
        listening(settings(valkey), Loading(), until_ready=False) as running,
        running.client() as client,
    ):
        assert ok(client.get("/livez"))
        for path in ("/readyz", "/v1/tenants"):
            response = client.get(path)
            error(response, 503, "starting")
            assert response.headers["Retry-After"] == "1"


class Broken(FakeEngine):
    """An engine whose model cannot be loaded."""

    async def start(self) -> None:
        raise OSError("no such checkpoint")


def test_a_failed_start_fails_liveness(valkey: str) -> None:
    with (
        listening(settings(valkey, log_level="critical"), Broken(), until_ready=False) as running,
        running.client() as client,
    ):
        while client.get("/livez").is_success:
            pass
        error(client.get("/livez"), 503, "engine_stopped")
        error(client.get("/readyz"), 503, "engine_stopped")
        assert "checkpoint" not in client.get("/readyz").text


def test_requests_are_counted_by_route_and_status(tenant: Tenant) -> None:
    tenant.write(FACT)
    tenant.text(CAPITAL)
    tenant.post("write", {})
    tenant.client.get("/nowhere-at-all")
    text = tenant.client.get("/metrics").text
    for series in [
        'larimar_requests_total{code="200",op="write"}',
        'larimar_requests_total{code="422",op="write"}',
        'larimar_requests_total{code="404",op="unmatched"}',
        'larimar_request_duration_seconds_bucket{le="+Inf",op="generate"}',
        'larimar_scope_decisions_total{in_scope="true"}',
        'larimar_generate_tokens_total{kind="completion"}',
        'larimar_store_duration_seconds_count{op="write"}',
        'larimar_queue_duration_seconds_count{op="generate"}',
        'larimar_batch_size_count{op="generate"}',
    ]:
        assert f"\n{series} " in text, series
    assert tenant.name not in text


LABELS = {
    "larimar_requests": {"op", "code"},
    "larimar_request_duration_seconds": {"op"},
    "larimar_inflight_requests": set(),
    "larimar_admission_rejections": {"reason"},
    "larimar_generate_ttft_seconds": set(),
    "larimar_generate_tokens": {"kind"},
    "larimar_scope_decisions": {"in_scope"},
    "larimar_scope_confidence": set(),
    "larimar_facts_written": set(),
    "larimar_facts_forgotten": set(),
    "larimar_store_duration_seconds": {"op"},
    "larimar_store_errors": {"op"},
    "larimar_write_conflicts": set(),
    "larimar_engine_items": {"state"},
    "larimar_stale_reads": set(),
    "larimar_store_unavailable": set(),
    "larimar_queue_duration_seconds": {"op"},
    "larimar_batch_size": {"op"},
    "larimar_event_loop_tasks": set(),
    "larimar_device_memory_bytes": set(),
    "larimar_memory_cache_hits": set(),
    "larimar_memory_cache_replays": set(),
    "larimar_memory_cache_misses": set(),
    "larimar_memory_cache_evictions": set(),
    "larimar_memory_resident_bytes": set(),
    "larimar_memory_resident_limit_bytes": set(),
    "larimar_memory_resident_tenants": set(),
}


def test_metrics_carry_exactly_their_labels(running: Running, tenant: Tenant) -> None:
    tenant.write(FACT)
    tenant.text(CAPITAL)
    metrics = running.service.metrics
    declared = {
        metric._name: set(metric._labelnames)  # of those without a series too
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
    }
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        if family.name.startswith("larimar_"):
            shown = {name for sample in family.samples for name in sample.labels} - {"le"}
            found[family.name] = declared.get(family.name, shown)
            assert shown in (set(), found[family.name]), family.name
    assert found == LABELS


def test_the_cache_of_memories_is_counted(running: Running, tenant: Tenant) -> None:
    def cache() -> dict[str, float]:
        series = {
            sample.name.removeprefix("larimar_memory_"): sample.value
            for family in running.service.metrics.cache.collect()
            for sample in family.samples
        }
        return {name: value for name, value in series.items() if not name.startswith("_")}

    before = cache()
    tenant.text(CAPITAL)
    loaded = cache()
    assert loaded["cache_misses_total"] == before["cache_misses_total"] + 1
    tenant.text(CAPITAL)
    current = cache()
    assert current["cache_hits_total"] > loaded["cache_hits_total"]
    assert current["cache_misses_total"] == loaded["cache_misses_total"]
    tenant.write(FACT)
    tenant.text(CAPITAL)
    after = cache()
    assert after["cache_replays_total"] > before["cache_replays_total"]
    assert before["resident_bytes"] < after["resident_bytes"] < after["resident_limit_bytes"]
    assert after["resident_tenants"] >= 1
    assert after["cache_evictions_total"] == 0


def test_metrics_can_be_behind_a_token(valkey: str) -> None:
    with (
        listening(settings(valkey, metrics_token="prometheus-token"), FakeEngine()) as running,
        running.client(None) as anyone,
    ):
        error(anyone.get("/metrics"), 401, "unauthenticated")
        wrong = anyone.get("/metrics", headers={"Authorization": "Bearer wrong"})
        error(wrong, 401, "unauthenticated")
        right = anyone.get("/metrics", headers={"Authorization": "Bearer prometheus-token"})
        assert right.status_code == 200


def test_the_documentation_needs_no_other_server(running: Running) -> None:
    with running.client(None) as anyone:
        page = anyone.get("/docs")
        assert page.status_code == 200
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links
        for link in links:
            if not link.startswith("data:"):
                assert not re.match(r"(?:[a-z]+:)?//", link)
                assert anyone.get(f"/{link}").status_code == 200
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        error(anyone.get("/docs/nothing.js"), 422, "invalid_request")


def test_the_committed_description_is_the_served_one(admin: httpx.Client) -> None:
    assert ok(admin.get("/openapi.json")) == json.loads(OPENAPI.read_text(encoding="utf-8"))


def test_every_reply_is_described(admin: httpx.Client) -> None:
    served = ok(admin.get("/openapi.json"))
    for path, operations in served["paths"].items():
        for method, operation in operations.items():
            assert {"4XX", "5XX"} <= set(operation["responses"]), (method, path)
            assert operation["summary"]


@pytest.mark.real_engine
def test_replies_protect_browsers(running: Running) -> None:
    with running.client(None) as anyone:
        for path in ("/livez", "/nowhere", "/v1/tenants"):
            headers = anyone.get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
