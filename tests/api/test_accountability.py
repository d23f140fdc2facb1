"""The audit log, and receipts that prove an erasure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from cli.main import app
from memory_store.embedded import EmbeddedValkey
from memory_store.errors import StoreUnavailable
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import Name, Scripts
from service.audit import Audit
from service.engine.fake import FakeEngine
from service.resources import sweep_for_ever
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import ADMIN_KEY, Running, listening, settings
from tests.api.test_auth import make_key


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def audit(client: httpx.Client) -> list[dict[str, Any]]:
    """All entries, page by page."""
    entries: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = ok(
            client.get("/v1/audit", params={"limit": 50} | ({"after": after} if after else {}))
        )
        entries += page["entries"]
        after = page["next_after"]
        if after is None:
            return entries


def mine(client: httpx.Client, tenant: Tenant) -> list[dict[str, Any]]:
    return [entry for entry in audit(client) if entry["tenant"] == tenant.name]


def test_every_change_is_accounted_for(admin: httpx.Client, tenant: Tenant) -> None:
    written = tenant.post("write", {"facts": [FACT, {"text": "other", "id": "o"}]})
    id = written.json()["results"][0]["id"]
    tenant.forget(ids=["o", "nobody"])
    tenant.forget(prompts=[CAPITAL], mode="suppress")
    ok(tenant.post("documents", {"text": "One sentence. Two.", "id": "d"}))
    ok(admin.delete(f"{tenant.path}/documents/d"))
    admin.delete(tenant.path)
    entries = mine(admin, tenant)
    assert [(e["action"], e["version_before"], e["version_after"]) for e in entries] == [
        ("tenant.put", None, 0),
        ("write", 0, 1),
        ("erase", 1, 2),
        ("suppress", 2, 3),
        ("document.write", 3, 4),
        ("document.erase", 4, 5),
        ("tenant.delete", None, None),
    ]
    assert entries[1]["ids"] == [id, "o"]
    assert entries[1]["key_id"] == "admin"
    assert entries[1]["request_id"] == written.headers["X-Request-ID"]
    assert entries[2]["ids"] == ["o"]
    text = json.dumps(entries)
    for content in (CAPITAL, "Lyon", "other", "sentence"):
        assert content not in text


def test_what_changes_nothing_is_not_noted(admin: httpx.Client, tenant: Tenant) -> None:
    body = {"facts": [FACT]}
    for _ in range(2):
        ok(tenant.post("write", body, **{"Idempotency-Key": "once"}))
    tenant.forget(ids=["nobody"])
    error(tenant.post("write", {"facts": [{"text": ""}]}), 422, "blank_text")
    assert [entry["action"] for entry in mine(admin, tenant)] == ["tenant.put", "write"]


def test_keys_are_accounted_for_and_seen_by_those_above(
    running: Running, admin: httpx.Client, tenant: Tenant
) -> None:
    made = make_key(admin, [tenant.name], "admin")
    other = make_key(admin, [tenant.name], "read")
    ok(admin.post(f"/v1/keys/{other['id']}/rotate"))
    admin.delete(f"/v1/keys/{other['id']}")
    actions = [entry["action"] for entry in audit(admin) if entry["ids"] == [other["id"]]]
    assert actions == ["key.create", "key.rotate", "key.revoke"]
    assert other["key"] not in json.dumps(audit(admin))
    with running.client(made["key"]) as client:
        seen = audit(client)
        assert seen
        assert {entry["tenant"] for entry in seen} == {tenant.name}
    with running.client(make_key(admin, "*", "write")["key"]) as writer:
        error(writer.get("/v1/audit"), 403, "forbidden")
    error(admin.get("/v1/audit?after=x"), 422, "invalid_request")


@pytest.mark.anyio
async def test_what_expires_is_erased_and_noted(
    valkey: str, admin: httpx.Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.write(FACT | {"id": "soon", "ttl_seconds": 0.05}, {"text": "stays"})
    store = RedisStore(connect(valkey), FakeEngine().spec)
    audit_log = Audit(store_client := connect(valkey), 100)
    tenants, broken = store.tenants, [RuntimeError("a round that fails")]

    async def names() -> list[str]:
        while broken:
            raise broken.pop()
        return await tenants()

    monkeypatch.setattr(store, "tenants", names)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sweep_for_ever, store, audit_log, 0.05)
        with anyio.fail_after(30):
            while mine(admin, tenant)[-1]["action"] != "expire":  # noqa: ASYNC110
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    await store_client.aclose()
    await store.close()
    entry = mine(admin, tenant)[-1]
    assert (entry["action"], entry["ids"], entry["key_id"]) == ("expire", ["soon"], "service")
    assert [fact["text"] for fact in tenant.facts()] == ["stays"]


@pytest.mark.anyio
async def test_the_oldest_entries_leave(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    redis = connect(server.start())
    log = Audit(redis, 100)
    for n in range(500):
        await log.note("write", f"tenant-{n}")
    kept = [entry.tenant for entry in await log.entries(None, 1000)]
    await redis.aclose()
    server.stop()
    assert 100 <= len(kept) <= 200  # Redis trims whole nodes, of 100
    assert kept == [f"tenant-{n}" for n in range(500 - len(kept), 500)]


# --- receipts -------------------------------------------------------------------------------


@pytest.fixture
def signing(valkey: str, tmp_path: Path) -> Iterator[Tenant]:
    """A tenant of a service that signs."""
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "receipt.pem"
    path.write_bytes(key)
    with (
        listening(settings(valkey, receipt_key_file=path), FakeEngine()) as running,
        running.client() as client,
    ):
        tenant = Tenant(client, "signing")
        client.delete(tenant.path)
        client.put(tenant.path)
        yield tenant


def verified(receipt: Any, public_key: str, folder: Path) -> Any:
    """What `larimar verify-receipt` says, with the receipt and the key alone."""
    (folder / "receipt.json").write_text(json.dumps(receipt))
    (folder / "key.pem").write_text(public_key)
    arguments = [str(folder / "receipt.json"), "-k", str(folder / "key.pem"), "--json"]
    return CliRunner().invoke(app, ["verify-receipt", *arguments])


def test_a_receipt_proves_an_erasure(signing: Tenant, tmp_path: Path) -> None:
    id = signing.write(FACT)["results"][0]["id"]
    reply = signing.forget(prompts=[CAPITAL], ids=["nobody"])
    missing, erased = reply["results"]
    assert (erased["confidence_before"], erased["confidence_after"]) == (pytest.approx(1), 0)
    assert missing["confidence_before"] is None

    key = ok(signing.client.get("/v1/receipt-key"))
    assert reply["receipt"]["key_id"] == key["key_id"]
    for shown in (reply, reply["receipt"]):
        result = verified(shown, key["public_key"], tmp_path)
        assert result.exit_code == 0, result.output
        payload = json.loads(result.output)
        assert (payload["tenant"], payload["ids"]) == ("signing", [id])
        assert (payload["version_before"], payload["version_after"]) == (1, 2)

    forged = reply["receipt"] | {"payload": reply["receipt"]["payload"].replace(id, "f-other")}
    stranger = Ed25519PrivateKey.generate().public_key()
    pem = stranger.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    for receipt, public_key in [
        (forged, key["public_key"]),
        (reply["receipt"], pem),
        (reply["receipt"], "not a key"),
        (reply["receipt"] | {"signature": "not base64!"}, key["public_key"]),
        ({}, key["public_key"]),
        ([], key["public_key"]),
    ]:
        result = verified(receipt, public_key, tmp_path)
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output


def test_an_erasure_that_is_replayed_is_proved_again(signing: Tenant, tmp_path: Path) -> None:
    signing.write(FACT)
    first, again = (
        ok(signing.post("forget", {"prompts": [CAPITAL]}, **{"Idempotency-Key": "one"}))
        for _ in range(2)
    )
    assert again["version"] == first["version"]
    assert again["results"][0]["confidence_before"] is None  # nobody knows any more
    assert again["results"][0]["confidence_after"] == 0
    key = ok(signing.client.get("/v1/receipt-key"))["public_key"]
    payload = json.loads(verified(again, key, tmp_path).output)
    assert payload["version_after"] == first["version"]


def test_an_erasure_counts_even_if_the_store_leaves_right_after_it(
    running: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    memory = running.service.store.memory
    before = iter([memory])

    async def away(name: str) -> Any:
        for still_there in before:
            return await still_there(name)
        raise StoreUnavailable()

    monkeypatch.setattr(running.service.store, "memory", away)
    erased = tenant.forget(prompts=[CAPITAL])["results"][0]
    assert (erased["status"], erased["confidence_after"]) == ("erased", None)
    assert erased["confidence_before"] == pytest.approx(1)
    assert mine(tenant.client, tenant)[-1]["ids"] == [id]


def test_the_audit_log_is_exported_line_by_line(running: Running, tenant: Tenant) -> None:
    tenant.write(FACT)
    ok(tenant.post("forget", {"prompts": [CAPITAL]}))
    assert tenant.client.get(f"{tenant.path}/snapshot").status_code == 200
    environment = {"LARIMAR_URL": running.url, "LARIMAR_KEY": ADMIN_KEY}
    result = CliRunner().invoke(app, ["audit"], env=environment)
    assert result.exit_code == 0, result.output
    entries = [json.loads(line) for line in result.output.splitlines()]
    assert entries[-4:] == mine(tenant.client, tenant)
    assert [entry["action"] for entry in entries[-3:]] == ["write", "erase", "snapshot.export"]
    last = ["audit", "--after", entries[-2]["id"]]
    assert len(CliRunner().invoke(app, last, env=environment).output.splitlines()) == 1


def test_a_document_s_erasure_is_proved_too(signing: Tenant, tmp_path: Path) -> None:
    ok(signing.post("documents", {"text": "One sentence. Two.", "id": "d"}))
    reply = ok(signing.client.delete(f"{signing.path}/documents/d"))
    key = ok(signing.client.get("/v1/receipt-key"))["public_key"]
    payload = json.loads(verified(reply, key, tmp_path).output)
    assert len(payload["ids"]) == reply["chunks"] == 2


def test_a_document_erased_in_several_changes_is_accounted_for_as_they_come(
    signing: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_store.documents.BATCH", 2)
    ok(signing.post("documents", {"text": "One. Two. Three. Four. Five.", "id": "d"}))
    before, run = signing.version(), Scripts.run
    erasures = iter(["lets the first one go"])

    async def away_after_one(self: Scripts, name: Name, *args: Any) -> Any:
        if name == "erase" and next(erasures, None) is None:
            raise StoreUnavailable()
        return await run(self, name, *args)

    def delete() -> httpx.Response:
        headers = {"Idempotency-Key": "erase-d"}
        return signing.client.delete(f"{signing.path}/documents/d", headers=headers)

    def noted() -> list[tuple[int, int, int]]:
        entries = [e for e in mine(signing.client, signing) if e["action"] == "document.erase"]
        versions = [(e["version_before"], e["version_after"], len(e["ids"])) for e in entries]
        return versions[-3:]

    with monkeypatch.context() as patch:
        patch.setattr(Scripts, "run", away_after_one)
        error(delete(), 503, "store_unavailable")
    assert noted()[-1] == (before, before + 1, 1)
    first = ok(delete())
    every = [(before, before + 1, 1), (before + 1, before + 2, 2), (before + 2, before + 3, 2)]
    assert noted() == every
    again = ok(delete())
    assert (again["chunks"], again["version"]) == (first["chunks"], first["version"])
    assert (first["chunks"], noted()) == (5, every)
    key = ok(signing.client.get("/v1/receipt-key"))["public_key"]
    for reply in (first, again):
        payload = json.loads(verified(reply, key, tmp_path).output)
        assert len(payload["ids"]) == 5
        assert (payload["version_before"], payload["version_after"]) == (before, before + 3)


def test_without_a_key_or_an_erasure_there_is_no_receipt(signing: Tenant, tenant: Tenant) -> None:
    assert signing.forget(ids=["nobody"])["receipt"] is None
    tenant.write(FACT)
    assert tenant.forget(prompts=[CAPITAL])["receipt"] is None
    error(tenant.client.get("/v1/receipt-key"), 404, "no_receipts")
