"""The service on a real Redis Cluster of three nodes: every kind of key finds its node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.servers import shut_down, three_nodes
from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with three_nodes(tmp_path_factory.mktemp("cluster")) as ports:
        url = f"redis://127.0.0.1:{ports[0]}"
        given = settings(url, redis_cluster=True, requests_per_minute=1000)
        with listening(given, FakeEngine()) as running:
            yield running


def test_tenants_on_every_node_are_edited_and_forget(clustered: Running) -> None:
    with clustered.client() as admin:
        for n in range(6):
            tenant = Tenant(admin, f"t{n}")
            admin.put(tenant.path).raise_for_status()
            before = tenant.text(CAPITAL)
            tenant.write(FACT)
            assert tenant.text(CAPITAL) != before
            tenant.forget(prompts=[CAPITAL])
            assert tenant.text(CAPITAL) == before
        listed = ok(admin.get("/v1/tenants"))["tenants"]
        assert set(listed) >= {f"t{n}" for n in range(6)}


def test_keys_limits_and_audit_work(clustered: Running) -> None:
    with clustered.client() as admin:
        admin.put("/v1/tenants/mine").raise_for_status()
        made = ok(admin.post("/v1/keys", json={"tenants": ["mine"], "scopes": ["read"]}))
        rotated = ok(admin.post(f"/v1/keys/{made['id']}/rotate"))
        with clustered.client(rotated["key"]) as client:
            ok(client.get("/v1/tenants/mine"))
            error(client.get("/v1/tenants/t0"), 403, "forbidden")
        assert admin.delete(f"/v1/keys/{made['id']}").status_code == 204
        actions = [row["action"] for row in ok(admin.get("/v1/audit"))["entries"]]
        assert {"key.create", "key.rotate", "key.revoke"} <= set(actions)


def test_a_snapshot_moves_a_tenant_to_another_node(clustered: Running, tmp_path: Path) -> None:
    with clustered.client() as admin:
        one, other = Tenant(admin, "from"), Tenant(admin, "into")
        for tenant in (one, other):
            admin.put(tenant.path).raise_for_status()
        one.write(FACT)
        snapshot = admin.get(f"{one.path}/snapshot")
        headers = {"Content-Type": "application/octet-stream"}
        ok(admin.put(f"{other.path}/snapshot", content=snapshot.content, headers=headers))
        assert other.text(CAPITAL) == one.text(CAPITAL)


def test_a_cluster_that_is_away_answers_as_one_server(tmp_path: Path) -> None:
    with three_nodes(tmp_path) as ports:
        given = settings(
            f"redis://127.0.0.1:{ports[0]}", redis_cluster=True, requests_per_minute=1000
        )
        with listening(given, FakeEngine()) as running, running.client() as admin:
            tenant = Tenant(admin, "acme")
            ok(admin.put(tenant.path))
            tenant.write(FACT)
            made = ok(admin.post("/v1/keys", json={"tenants": "*", "scopes": ["read"]}))
            with running.client(made["key"]) as reader:
                read = Tenant(reader, "acme")
                ok(read.post("read", {"queries": [CAPITAL]}))
                for port in ports:
                    shut_down(port)
                assert ok(read.post("read", {"queries": [CAPITAL]}))["stale"]
            with running.client("lrm_unknown_key") as stranger:
                error(stranger.get(tenant.path), 503, "store_unavailable")
            for path in ("/v1/tenants", "/v1/keys", "/v1/audit"):
                error(admin.get(path), 503, "store_unavailable")
            error(tenant.post("write", {"facts": [FACT]}), 503, "store_unavailable")
