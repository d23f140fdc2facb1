"""Probes, metrics, documentation, and the committed description of the API."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest

from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.mark.real_engine
def test_a_started_service_is_alive_and_ready(running: Running) -> None:
    with running.client(None) as anyone:
        assert ok(anyone.get("/livez")) == {"status": "alive"}
        assert ok(anyone.get("/readyz"))["store"] == "up"


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
}


def test_metrics_carry_exactly_their_labels(running: Running) -> None:
    found: dict[str, set[str]] = {}
    for family in running.service.metrics.registry.collect():
        if family.name.startswith("larimar_"):
            labels = {name for sample in family.samples for name in sample.labels}
            found[family.name] = labels - {"le"}
    assert set(found) == set(LABELS)
    for name, labels in found.items():
        assert labels in (LABELS[name], set()), name  # none where nothing was counted yet


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
