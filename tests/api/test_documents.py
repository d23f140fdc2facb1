"""Documents: split, stored in batches, resumable, forgettable as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import httpx
import pytest
import sentencex

from service.engine.fake import FakeEngine
from service.engine.protocol import Encoded, FactText
from service.splitting import WINDOW, sentences, split
from tests.api.calls import Tenant, error, ok
from tests.api.running import Running, listening, settings
from tests.api.test_generation import events

TEXT = " ".join(f"Room {i} of the west wing holds instrument {i * 7}." for i in range(150))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_text_is_split_at_sentences() -> None:
    text = "Dr. Ada paid $3.50 to Mr. Lee on Jan. 5, 2024. He left!\n\nWhy? Nobody knows."
    assert await split(text, FakeEngine()) == [
        "Dr. Ada paid $3.50 to Mr. Lee on Jan. 5, 2024.",
        "He left!",
        "Why?",
        "Nobody knows.",
    ]


@pytest.mark.parametrize("one", ["Room {} of the west wing is empty. ", "西翼的第{}个房间是空的。"])
def test_a_long_text_is_looked_at_in_windows(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [one.format(i) for i in range(2000)]
    seen: list[int] = []
    segment = sentencex.segment

    def noted(language: str, text: str) -> list[str]:
        seen.append(len(text))
        return list(segment(language, text))

    monkeypatch.setattr("sentencex.segment", noted)
    assert list(sentences("".join(expected))) == expected
    assert max(seen) <= WINDOW < sum(map(len, expected))


@pytest.mark.anyio
async def test_a_long_sentence_becomes_overlapping_parts() -> None:
    engine, words = FakeEngine(), [f"word{i}" for i in range(200)]
    parts = await split(" ".join(words) + ".", engine)
    assert not await engine.too_long(parts)
    assert set(" ".join(parts).rstrip(".").split()) >= set(words[:-1])
    for left, right in pairwise(parts):
        assert set(left.split()) & set(right.split())
    assert await split("x" * 1000, engine)  # no word to split at, and yet it ends


def test_a_document_is_asked_listed_and_erased(tenant: Tenant) -> None:
    reply = ok(tenant.post("documents", {"text": TEXT, "id": "wing"}))
    assert (reply["id"], reply["status"]) == ("wing", "complete")
    assert reply["chunks"] == reply["chunks_done"] == 150
    assert "instrument 301" in tenant.text("room 43 of the west wing holds instrument 301")
    shown = ok(tenant.client.get(f"{tenant.path}/documents/wing"))
    assert ok(tenant.client.get(f"{tenant.path}/documents"))["documents"] == [shown]
    fact = tenant.facts()[0]
    assert (fact["kind"], fact["document_id"]) == ("chunk", "wing")
    assert ok(tenant.client.get(tenant.path))["counts"]["chunks"] == 150

    erased = ok(tenant.client.delete(f"{tenant.path}/documents/wing"))
    assert (erased["status"], erased["chunks"]) == ("erased", 150)
    assert tenant.facts() == []
    for method in ("GET", "DELETE"):
        response = tenant.client.request(method, f"{tenant.path}/documents/wing")
        error(response, 404, "document_not_found")


def test_the_same_document_again_changes_nothing(tenant: Tenant) -> None:
    first = ok(tenant.post("documents", {"text": TEXT}))
    again = ok(tenant.post("documents", {"text": TEXT}))
    assert again == first
    other = tenant.post("documents", {"text": "Another text.", "id": first["id"]})
    error(other, 409, "document_conflict")
    assert len(ok(tenant.client.get(f"{tenant.path}/documents"))["documents"]) == 1


def test_progress_is_streamed(tenant: Tenant) -> None:
    path, body = f"{tenant.path}/documents", {"text": TEXT}
    accept = {"Accept": "text/event-stream"}
    with tenant.client.stream("POST", path, json=body, headers=accept) as response:
        received = list(events(response))
    assert [name for name, _ in received] == ["progress"] * (len(received) - 1) + ["done"]
    assert [data["chunks_done"] for _, data in received] == [0, 64, 128, 150, 150]


def test_a_broken_document_goes_on_where_it_stopped(valkey: str) -> None:
    class Failing(FakeEngine):
        encoded = 0

        async def encode(self, facts: Sequence[FactText], tenant: str = "") -> list[Encoded]:
            self.encoded += len(facts)
            if self.encoded > 100:
                raise RuntimeError("the device is on fire")
            return await super().encode(facts, tenant)

    engine = Failing()
    with (
        listening(settings(valkey, log_level="critical"), engine) as running,
        running.client() as client,
    ):
        client.put("/v1/tenants/broken")
        tenant = Tenant(client, "broken")
        error(tenant.post("documents", {"text": TEXT, "id": "wing"}), 500, "internal_error")
        shown = ok(client.get(f"{tenant.path}/documents/wing"))
        assert (shown["status"], shown["chunks_done"]) == ("partial", 64)
        engine.encoded = -1000
        before = engine.encoded
        assert ok(tenant.post("documents", {"text": TEXT, "id": "wing"}))["status"] == "complete"
        assert engine.encoded - before == 150 - 64


def test_a_document_may_be_larger_than_other_bodies(tenant: Tenant) -> None:
    large = "x" * (3 << 20)
    error(tenant.post("write", {"facts": [{"text": large}]}), 413, "body_too_large")
    body = {"text": large, "id": "no such id!"}
    error(tenant.post("documents", body), 422, "invalid_request")  # read, and only then refused


def test_documents_are_their_tenants(admin: httpx.Client, tenant: Tenant) -> None:
    other = Tenant(admin, f"{tenant.name}-other")
    admin.put(other.path).raise_for_status()
    ok(tenant.post("documents", {"text": TEXT, "id": "wing"}))
    assert ok(admin.get(f"{other.path}/documents")) == {"documents": []}
    error(admin.get(f"{other.path}/documents/wing"), 404, "document_not_found")
    error(admin.delete(f"{other.path}/documents/wing"), 404, "document_not_found")
    assert ok(admin.get(f"{tenant.path}/documents/wing"))["status"] == "complete"


def test_bad_documents_are_refused(tenant: Tenant, running: Running) -> None:
    error(tenant.post("documents", {"text": " "}), 422, "blank_text")
    error(tenant.post("documents", {"text": "a\0"}), 422, "text_not_storable")
    nobody = Tenant(tenant.client, "nobody")
    error(nobody.post("documents", {"text": "x"}), 404, "tenant_not_found")
    assert tenant.facts() == []
