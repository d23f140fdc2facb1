"""Stored as A, read as B: nothing, through every call."""

from __future__ import annotations

import httpx
import pytest

from tests.api.calls import CAPITAL, FACT, Tenant, error, ok


@pytest.mark.real_engine
def test_what_one_tenant_stores_no_other_sees(admin: httpx.Client, tenant: Tenant) -> None:
    other = Tenant(admin, f"{tenant.name}-other")
    admin.put(other.path).raise_for_status()
    before = {memory: other.text(CAPITAL, memory=memory) for memory in ("auto", "always")}
    scores = {"items": [{"prompt": CAPITAL, "targets": ["Lyon"]}], "memory": "always"}
    scored = ok(other.post("score", scores))
    id = tenant.write(FACT)["results"][0]["id"]

    for memory, text in before.items():
        assert other.text(CAPITAL, memory=memory) == text
    found = ok(other.post("read", {"queries": [CAPITAL], "top_k": 64}))["results"][0]
    assert (found["in_scope"], found["matches"]) == (False, [])
    assert "Lyon" not in found["text"]
    assert ok(other.post("score", scores)) == scored
    assert other.facts() == []
    error(admin.get(f"{other.path}/facts/{id}"), 404, "fact_not_found")
    error(admin.delete(f"{other.path}/facts/{id}"), 404, "fact_not_found")
    reply = other.forget(ids=[id], prompts=[CAPITAL])
    assert [r["status"] for r in reply["results"]] == ["not_found", "not_found"]
    assert ok(admin.get(other.path))["counts"]["facts"] == 0
    assert tenant.text(CAPITAL).strip().startswith("Lyon")


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
