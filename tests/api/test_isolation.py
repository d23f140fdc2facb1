"""Stored as A, read as B: nothing, through every call."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import httpx
import pytest

from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running
from tests.api.test_auth import SCOPES, make_key
from tests.api.test_snapshot import exported, put

BOOK = {"id": "book", "text": "Lyon lies on the Rhône. It is large."}
PERU = "The capital of Peru is"
OF_NO_TENANT = {"livez", "readyz", "metrics", "list_models", "get_model", "get_receipt_key"}
# What differs, besides their names, between tenants that were told the same: times and drawn ids.
DRAWN = r"\b(\w{22,}|[0-9a-f]{12}|\d{10,}(\.\d+)?(-\d+)?)\b"


def calls(
    one: Tenant, key: str, checkpoint: str, since: str
) -> dict[str, Callable[[], httpx.Response]]:
    """All that a tenant's key can ask, by operation, with the names of what another tenant holds:
    its fact, its document, its key. Looking comes before changing."""
    client, path = one.client, one.path
    chat = {"model": "default", "messages": [{"role": "user", "content": CAPITAL}]}
    score = {"items": [{"prompt": CAPITAL, "targets": ["Lyon"]}], "memory": "always"}
    write = {"facts": [FACT | {"id": "mine", "target": "Nice"}]}
    key_for_all = {"tenants": "*", "scopes": ["read"]}
    return {
        "get_usage": lambda: client.get(f"{path}/usage"),
        "get_tenant": lambda: client.get(path),
        "list_tenants": lambda: client.get("/v1/tenants"),
        "read": lambda: one.post("read", {"queries": [CAPITAL, PERU], "top_k": 64}),
        "generate": lambda: one.post("generate", {"prompt": CAPITAL}),
        "generate always": lambda: one.post("generate", {"prompt": CAPITAL, "memory": "always"}),
        "generate suppressed": lambda: one.post("generate", {"prompt": PERU}),
        "score": lambda: one.post("score", score),
        "completions": lambda: client.post(
            "/v1/completions", json={"model": "default", "prompt": CAPITAL}
        ),
        "chat_completions": lambda: client.post("/v1/chat/completions", json=chat),
        "list_facts": lambda: client.get(f"{path}/facts"),
        "get_fact": lambda: client.get(f"{path}/facts/mine"),
        "list_documents": lambda: client.get(f"{path}/documents"),
        "get_document": lambda: client.get(f"{path}/documents/book"),
        "get_snapshot": lambda: client.get(f"{path}/snapshot"),
        "list_keys": lambda: client.get("/v1/keys"),
        "create_key": lambda: client.post("/v1/keys", json=key_for_all),
        "rotate_key": lambda: client.post(f"/v1/keys/{key}/rotate"),
        "delete_key": lambda: client.delete(f"/v1/keys/{key}"),
        "forget": lambda: one.post("forget", {"ids": ["mine"], "prompts": [CAPITAL, PERU]}),
        "delete_fact": lambda: client.delete(f"{path}/facts/mine"),
        "delete_document": lambda: client.delete(f"{path}/documents/book"),
        "put_tenant": lambda: client.put(path, json={"quota": {"facts": 100}}),
        "write": lambda: one.post("write", write, **{"Idempotency-Key": "shared"}),
        "post_document": lambda: one.post("documents", BOOK),
        "post_reencode": lambda: one.post("reencode", {"checkpoint": checkpoint}),
        "put_snapshot": lambda: put(one, exported(one)),
        "list_audit": lambda: client.get("/v1/audit", params={"after": since}),
        "delete_tenant": lambda: client.delete(path),
    }


@pytest.mark.real_engine
def test_what_a_tenant_is_told_does_not_depend_on_what_another_holds(
    running: Running, admin: httpx.Client, tenant: Tenant
) -> None:
    """Every call of the description, before another tenant is filled and after."""
    key = make_key(admin, [tenant.name], "read")
    checkpoint = ok(admin.get("/readyz"))["checkpoint"]

    def told(name: str) -> dict[str, tuple[int, str]]:
        since = f"{int(time.time() * 1000) - 1}-0"
        admin.put(f"/v1/tenants/{name}").raise_for_status()
        with running.client(make_key(admin, [name], *SCOPES)["key"]) as client:
            made = calls(Tenant(client, name), key["id"], checkpoint, since)
            replies = {operation: call() for operation, call in made.items()}
        return {
            operation: (reply.status_code, re.sub(f"{name}|{DRAWN}", "…", reply.text))
            for operation, reply in replies.items()
        }

    before = told(f"{tenant.name}-before")
    fact = {"facts": [FACT | {"id": "mine", "metadata": {"source": "test"}}]}
    ok(tenant.post("write", fact, **{"Idempotency-Key": "shared"}))
    tenant.forget(prompts=[PERU], mode="suppress")
    ok(tenant.post("documents", BOOK))
    held = exported(tenant)
    assert told(f"{tenant.name}-after") == before
    assert exported(tenant) == held
    with running.client(key["key"]) as client:
        ok(client.get(tenant.path))

    paths = ok(admin.get("/openapi.json"))["paths"].values()
    described = {operation["operationId"] for path in paths for operation in path.values()}
    assert described - OF_NO_TENANT == {name.split()[0] for name in before}


def test_erasing_one_tenant_leaves_the_others(admin: httpx.Client, tenant: Tenant) -> None:
    other = Tenant(admin, f"{tenant.name}-other")
    admin.put(other.path).raise_for_status()
    for one in (tenant, other):
        one.write(FACT)
    assert admin.delete(other.path).status_code == 204
    error(admin.get(other.path), 404, "tenant_not_found")
    assert tenant.text(CAPITAL) == " Lyon"
    assert admin.put(other.path).status_code == 201
    assert other.facts() == []
    assert other.text(CAPITAL).startswith(" base")


def test_an_idempotency_key_belongs_to_one_tenant(admin: httpx.Client, tenant: Tenant) -> None:
    other = Tenant(admin, f"{tenant.name}-other")
    admin.put(other.path).raise_for_status()
    for one in (tenant, other):
        ok(one.post("write", {"facts": [FACT]}, **{"Idempotency-Key": "shared"}))
        assert one.text(CAPITAL) == " Lyon"
