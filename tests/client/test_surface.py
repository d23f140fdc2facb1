"""The client covers the service: every call, and every field of every reply, as the committed
description of the API has them."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from larimar_client import AsyncLarimar, AsyncTenant, Larimar, Tenant, calls, models, streams
from larimar_client.calls import Call

ROOT = Path(__file__).parents[2]
API = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
ELSEWHERE = {  # OpenAI's own client speaks these
    ("post", "/v1/completions"),
    ("post", "/v1/chat/completions"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{id}"),
}
EXAMPLES: dict[str, Any] = {
    "tenant": "t", "facts": [], "queries": "q", "prompt": "p", "targets": [], "id": "i",
    "text": "t", "snapshot": Path("s"), "tenants": "*", "scopes": [], "checkpoint": "c",
}  # fmt: skip


def made() -> dict[tuple[str, str], str]:
    """(method, path) → name of every call that the client can make."""
    found = {}
    for module in (calls, streams):
        for name, build in vars(module).items():
            if not inspect.isfunction(build) or name.startswith("_"):
                continue
            if str(inspect.signature(build).return_annotation).split("[")[0] not in (
                "Call", "StreamCall",
            ):  # fmt: skip
                continue
            needed = inspect.signature(build).parameters.values()
            given = {p.name: EXAMPLES[p.name] for p in needed if p.default is p.empty}
            call = build(**given)
            one: Call[Any] = getattr(call, "call", call)
            path = one.path.replace("/tenants/t", "/tenants/{tenant}").replace("/i", "/{id}")
            found[one.method.lower(), path] = name
    return found


def described() -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"\{(?!tenant)\w+\}", "{id}", path))
        for path, operations in API["paths"].items()
        for method in operations
        if path.startswith("/v1/")
    }


def test_every_call_of_the_service_can_be_made() -> None:
    assert described() - set(made()) == ELSEWHERE
    assert set(made()) <= described()


def test_both_clients_have_all_of_them() -> None:
    public = {name for name in dir(Tenant) if not name.startswith("_")}
    assert public == {name for name in dir(AsyncTenant) if not name.startswith("_")}
    service = {name for name in dir(Larimar) if not name.startswith("_")} - {"close"}
    assert service == {name for name in dir(AsyncLarimar) if not name.startswith("_")} - {"aclose"}
    assert set(made().values()) - {"generate", "add_document", "snapshot"} <= public | service
    for one in (Larimar, Tenant):
        for name in vars(one):
            if not name.startswith("_") and callable(getattr(one, name)):
                assert getattr(one, name).__doc__, (one, name)


@pytest.mark.parametrize("name", sorted(n for n, m in vars(models).items() if is_dataclass(m)))
def test_a_reply_has_the_fields_that_are_described(name: str) -> None:
    schemas = API["components"]["schemas"]
    kind = getattr(models, name)
    other = {
        "StoredFact": "FactOut", "Document": "DocumentOut", "Progress": "DocumentReply",
        "Match": "MatchOut", "ReadResult": "ReadResultOut", "TargetScore": "TargetOut",
        "Receipt": "ReceiptOut", "Reencoded": "ReencodeReply",
        "FactsPage": "FactsReply", "DocumentList": "DocumentsReply",
        "TenantInfo": "TenantReply", "TenantNames": "TenantsReply", "Quota": "QuotaOut",
        "Restored": "SnapshotReply", "TenantUsage": "UsageReply", "KeyInfo": "KeyOut",
        "KeyList": "KeysReply", "NewKey": "NewKeyReply",
        "AuditPage": "AuditReply", "ReceiptKey": "ReceiptKeyReply",
    }.get(name, name)  # fmt: skip
    if name == "Token":
        return  # an event of a stream, which the description does not reach
    assert other in schemas, sorted(schemas)
    described_fields = set(schemas[other]["properties"])
    assert {one.name for one in fields(kind)} <= described_fields


def test_a_name_is_quoted_in_a_path() -> None:
    assert calls.fact("a/b", "c?d").path == f"/v1/tenants/{quote('a/b', safe='')}/facts/c%3Fd"


def test_the_wheel_holds_the_package_and_says_that_it_is_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "clients/python", check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == "larimar_client-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("larimar_client-0.1.0.dist-info/METADATA").decode()
    source = ROOT / "clients/python/larimar_client"
    assert {f"larimar_client/{p.name}" for p in source.iterdir() if p.is_file()} <= names
    assert "larimar_client/py.typed" in names
    assert "Requires-Dist: httpx" in metadata
