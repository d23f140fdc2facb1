"""A tenant leaves as one file, and arrives as a whole or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import httpx
import pytest
from safetensors.numpy import load
from typer.testing import CliRunner

from cli.main import app
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import ADMIN_KEY, Running
from tests.contract.test_snapshot import damaged


@pytest.fixture
def full(tenant: Tenant) -> Tenant:
    """A tenant with a fact, a suppression and a document."""
    tenant.write(FACT | {"metadata": {"source": "test"}})
    tenant.forget(prompts=["The capital of Peru is"], mode="suppress")
    ok(tenant.post("documents", {"text": "One sentence. Another one.", "id": "d"}))
    return tenant


@pytest.fixture
def empty(admin: httpx.Client, full: Tenant) -> Tenant:
    other = Tenant(admin, f"{full.name}-copy")
    admin.put(other.path).raise_for_status()
    return other


def exported(tenant: Tenant) -> bytes:
    response = tenant.client.get(f"{tenant.path}/snapshot")
    assert response.status_code == 200, response.text
    return response.content


def put(tenant: Tenant, data: bytes, **headers: str) -> httpx.Response:
    return tenant.client.put(f"{tenant.path}/snapshot", content=data, headers=headers)


def test_a_tenant_moves_as_a_file(full: Tenant, empty: Tenant) -> None:
    empty.write({"text": "gone after the import"})
    data = exported(full)
    assert load(data)["keys"].shape == (4, 256)
    reply = ok(put(empty, data))
    assert reply["facts"] == 4
    assert reply["version"] == empty.version()
    assert empty.text(CAPITAL) == " Lyon"
    assert empty.text("The capital of Peru is") == " unknown"

    def without_times(tenant: Tenant) -> list[tuple[str, ...]]:
        return sorted(
            (f["id"], f["kind"], str(f["text"]), str(f["metadata"])) for f in tenant.facts()
        )

    assert without_times(empty) == without_times(full)
    assert ok(empty.client.get(f"{empty.path}/documents/d"))["status"] == "complete"
    assert full.text(CAPITAL) == " Lyon"


def test_a_damaged_file_is_refused_with_a_reason(full: Tenant, empty: Tenant) -> None:
    data = exported(full)
    empty.write({"text": "stays"})
    version, facts = empty.version(), empty.facts()
    rng = random.Random(0)
    bad = [damaged(data, how, rng) for how in ("body", "cut", "longer") for _ in range(15)]
    for file in (b"", b"no snapshot", *bad):
        assert len(error(put(empty, file), 422, "snapshot_invalid")["message"]) > 10
        assert (empty.version(), empty.facts()) == (version, facts)


def test_an_import_is_not_repeated(full: Tenant, empty: Tenant) -> None:
    data, key = exported(full), {"Idempotency-Key": "import-1"}
    first = ok(put(empty, data, **key))
    assert ok(put(empty, data, **key)) == first
    full.write({"text": "something else"})
    error(put(empty, exported(full), **key), 422, "idempotency_key_reused")


def test_no_tenant_no_snapshot(admin: httpx.Client, full: Tenant) -> None:
    nobody = Tenant(admin, "nobody")
    error(admin.get(f"{nobody.path}/snapshot"), 404, "tenant_not_found")
    error(put(nobody, exported(full)), 404, "tenant_not_found")


def test_the_command_line_moves_files(
    full: Tenant, empty: Tenant, running: Running, tmp_path: Path
) -> None:
    def larimar(*arguments: str, tenant: str) -> str:
        environment = {"LARIMAR_URL": running.url, "LARIMAR_KEY": ADMIN_KEY}
        result = CliRunner().invoke(
            app, ["snapshot", *arguments, "--tenant", tenant], env=environment
        )
        return f"{result.exit_code} {result.output}"

    file = tmp_path / "copy.safetensors"
    assert larimar("export", str(file), tenant=full.name).startswith("0 ")
    assert "exists already" in larimar("export", str(file), tenant=full.name)
    assert larimar("import", str(file), tenant=empty.name).startswith("0 4 facts")
    assert empty.text(CAPITAL) == " Lyon"
    file.write_bytes(b"no snapshot")
    assert "422 snapshot_invalid" in larimar("import", str(file), tenant=empty.name)
    assert "404 tenant_not_found" in larimar("export", str(file) + "2", tenant="nobody")
    assert [path.name for path in tmp_path.iterdir()] == ["copy.safetensors"]
