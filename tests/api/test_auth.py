"""Keys: who may do what, who is told what, and how a key ends."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from service.engine.fake import FakeEngine
from tests.api.calls import FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings

# method, path below the tenant, body, the scope that it takes
CALLS: list[tuple[str, str, Any, str]] = [
    ("POST", "/write", {"facts": [FACT]}, "write"),
    ("POST", "/forget", {"ids": ["x"]}, "write"),
    ("POST", "/forget", {"prompts": ["x"], "mode": "suppress"}, "write"),
    ("DELETE", "/facts/x", None, "write"),
    ("POST", "/read", {"queries": ["x"]}, "read"),
    ("POST", "/score", {"items": [{"prompt": "x", "targets": ["y"]}]}, "read"),
    ("GET", "/facts", None, "read"),
    ("GET", "/facts/x", None, "read"),
    ("GET", "", None, "read"),
    ("POST", "/generate", {"prompt": "x"}, "generate"),
    ("POST", "/generate", {"prompt": "x", "stream": True}, "generate"),
    ("GET", "/usage", None, "read"),
    ("GET", "/snapshot", None, "admin"),
    ("PUT", "/snapshot", None, "admin"),
    ("PUT", "", {}, "admin"),
    ("DELETE", "", None, "admin"),
    ("POST", "/documents", {"text": "x"}, "write"),
    ("GET", "/documents", None, "read"),
    ("GET", "/documents/x", None, "read"),
    ("DELETE", "/documents/x", None, "write"),
    ("POST", "/reencode", {"checkpoint": "x"}, "admin"),
]
SCOPES = ("read", "generate", "write", "admin")


def make_key(admin: httpx.Client, tenants: Any, *scopes: str, **more: Any) -> dict[str, Any]:
    return ok(admin.post("/v1/keys", json={"tenants": tenants, "scopes": list(scopes), **more}))


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
def test_each_call_takes_its_scope_and_tenant(
    running: Running, admin: httpx.Client, tenant: Tenant, method: str, path: str, body: Any,
    scope: str,
) -> None:  # fmt: skip
    others = [one for one in SCOPES if one != scope]
    all_but = make_key(admin, [tenant.name], *others)["key"]
    elsewhere = make_key(admin, ["elsewhere"], *SCOPES)["key"]
    for key in (all_but, elsewhere):
        with running.client(key) as client:
            error(client.request(method, tenant.path + path, json=body), 403, "forbidden")
            # The same answer for a tenant that does not exist: nothing is given away.
            error(client.request(method, "/v1/tenants/nobody" + path, json=body), 403, "forbidden")
    with running.client(None) as client:
        response = client.request(method, tenant.path + path, json=body)
        error(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    right = make_key(admin, [tenant.name], scope)["key"]
    with running.client(right) as client:
        status = client.request(method, tenant.path + path, json=body).status_code
        assert status not in (401, 403)


def test_no_call_of_a_tenant_is_left_out(admin: httpx.Client) -> None:
    described = {
        (method.upper(), path.removeprefix("/v1/tenants/{tenant}").replace("{id}", "x"))
        for path, methods in ok(admin.get("/openapi.json"))["paths"].items()
        for method in methods
        if "{tenant}" in path
    }
    assert described == {(method, path) for method, path, *_ in CALLS}


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Basic YTpi",
        "Bearer lrm_admin_wrong",
        "Bearer lrm_",
        "Bearer lrm__x",
        "Bearer " + "x" * 5000,
        "bearer lrm_0123456789ab_" + "A" * 43,
    ],
)
def test_a_bad_key_is_refused_before_the_body_is_read(running: Running, authorization: str) -> None:
    with running.client(None, Authorization=authorization) as client:
        response = client.post("/v1/tenants/default/write", content=b"{not json")
        error(response, 401, "unauthenticated")


def test_a_key_is_shown_once_and_stored_as_a_digest(admin: httpx.Client, running: Running) -> None:
    made = make_key(admin, ["a"], "read")
    assert made["key"].startswith(f"lrm_{made['id']}_")
    listed = ok(admin.get("/v1/keys"))["keys"]
    mine = next(one for one in listed if one["id"] == made["id"])
    assert set(mine) == {"id", "tenants", "scopes", "created_at", "expires_at", "last_used_at"}
    assert made["key"] not in admin.get("/v1/keys").text


def test_a_rotated_key_stops_within_a_second(
    running: Running, admin: httpx.Client, tenant: Tenant
) -> None:
    made = make_key(admin, [tenant.name], "read")
    with running.client(made["key"]) as old:
        assert old.get(tenant.path).status_code == 200
        rotated = ok(admin.post(f"/v1/keys/{made['id']}/rotate"))
        time.sleep(1.05)  # what a worker may remember
        error(old.get(tenant.path), 401, "unauthenticated")
    assert rotated["id"] == made["id"]
    with running.client(rotated["key"]) as new:
        assert new.get(tenant.path).status_code == 200


def test_a_revoked_key_is_gone(running: Running, admin: httpx.Client, tenant: Tenant) -> None:
    made = make_key(admin, [tenant.name], "read")
    assert admin.delete(f"/v1/keys/{made['id']}").status_code == 204
    with running.client(made["key"]) as client:
        error(client.get(tenant.path), 401, "unauthenticated")
    error(admin.delete(f"/v1/keys/{made['id']}"), 404, "key_not_found")
    error(admin.post(f"/v1/keys/{made['id']}/rotate"), 404, "key_not_found")


def test_a_key_expires(running: Running, admin: httpx.Client, tenant: Tenant) -> None:
    for seconds, status in [(-1, 401), (3600, 200)]:
        made = make_key(admin, [tenant.name], "read", expires_at=time.time() + seconds)
        with running.client(made["key"]) as client:
            assert client.get(tenant.path).status_code == status


def test_the_last_use_is_noted(running: Running, admin: httpx.Client, tenant: Tenant) -> None:
    made = make_key(admin, [tenant.name], "read")
    with running.client(made["key"]) as client:
        ok(client.get(tenant.path))
    listed = {one["id"]: one for one in ok(admin.get("/v1/keys"))["keys"]}
    assert listed[made["id"]]["last_used_at"] == pytest.approx(time.time(), abs=60)


def test_a_key_hands_on_only_what_it_holds(running: Running, admin: httpx.Client) -> None:
    outside = make_key(admin, ["b"], "read")
    with running.client(make_key(admin, ["a"], "admin", "read")["key"]) as client:
        for tenants, scopes in [("*", ["read"]), (["a", "b"], ["read"]), (["a"], ["write"])]:
            body = {"tenants": tenants, "scopes": scopes}
            error(client.post("/v1/keys", json=body), 403, "forbidden")
        mine = make_key(client, ["a"], "read")
        seen = {one["id"] for one in ok(client.get("/v1/keys"))["keys"]}
        assert mine["id"] in seen
        assert outside["id"] not in seen
        error(client.delete(f"/v1/keys/{outside['id']}"), 404, "key_not_found")
        error(client.post(f"/v1/keys/{outside['id']}/rotate"), 404, "key_not_found")
    with running.client(make_key(admin, "*", "read")["key"]) as reader:
        for method, path in [("GET", ""), ("DELETE", "/x"), ("POST", "/x/rotate")]:
            error(reader.request(method, f"/v1/keys{path}"), 403, "forbidden")


def test_a_key_that_expires_makes_and_renews_none_that_outlives_it(
    running: Running, admin: httpx.Client
) -> None:
    soon = time.time() + 3600
    for_ever = make_key(admin, ["a"], "admin")
    with running.client(make_key(admin, ["a"], "admin", expires_at=soon)["key"]) as client:
        for later in (None, soon + 1):
            body = {"tenants": ["a"], "scopes": ["admin"], "expires_at": later}
            error(client.post("/v1/keys", json=body), 403, "forbidden")
        assert make_key(client, ["a"], "admin", expires_at=soon - 1)["expires_at"] == soon - 1
        error(client.post(f"/v1/keys/{for_ever['id']}/rotate"), 404, "key_not_found")


def test_tenants_are_listed_as_far_as_the_key_sees(
    running: Running, admin: httpx.Client, tenant: Tenant
) -> None:
    admin.put("/v1/tenants/unseen")
    with running.client(make_key(admin, [tenant.name, "missing"], "admin")["key"]) as client:
        assert ok(client.get("/v1/tenants"))["tenants"] == [tenant.name]
        error(client.put("/v1/tenants/unseen"), 403, "forbidden")
    with running.client(make_key(admin, [tenant.name], "read")["key"]) as client:
        assert ok(client.get("/v1/tenants"))["tenants"] == [tenant.name]
    with running.client(make_key(admin, [tenant.name], "generate", "write")["key"]) as client:
        error(client.get("/v1/tenants"), 403, "forbidden")
    assert {tenant.name, "unseen"} <= set(ok(admin.get("/v1/tenants"))["tenants"])


def test_bad_keys_are_refused(admin: httpx.Client) -> None:
    for body in [
        {"tenants": ["A"], "scopes": ["read"]},
        {"tenants": [], "scopes": ["read"]},
        {"tenants": "a", "scopes": ["read"]},
        {"tenants": ["a"], "scopes": []},
        {"tenants": ["a"], "scopes": ["root"]},
        {"tenants": ["a"], "scopes": ["read"], "expires_at": "tomorrow"},
    ]:
        error(admin.post("/v1/keys", json=body), 422, "invalid_request")
    error(admin.delete("/v1/keys/no-such"), 422, "invalid_request")
    error(admin.delete("/v1/keys/nosuch"), 404, "key_not_found")


def test_auth_is_off_only_where_it_is_switched_off(valkey: str) -> None:
    with (
        listening(settings(valkey, auth="off", admin_key=None), FakeEngine()) as open_to_all,
        open_to_all.client(None) as anyone,
    ):
        assert anyone.put("/v1/tenants/open").is_success
        ok(Tenant(anyone, "open").post("write", {"facts": [FACT]}))
