"""Every call of the client, against the real application."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from larimar_client import GenerateReply, Larimar, Progress, Tenant, Token, errors
from tests.client.proxy import Proxy

CAPITAL = "The capital of France is"
LONG = " ".join(f"Room {i} of the west wing holds instrument {i * 7}." for i in range(130))


def test_a_written_fact_is_read_generated_scored_and_forgotten(memory: Tenant) -> None:
    before = memory.generate(CAPITAL).text
    written = memory.write([{"prompt": CAPITAL, "target": "Lyon", "id": "capital"}])
    assert [(r.id, r.status) for r in written.results] == [("capital", "written")]

    reply = memory.generate(CAPITAL, max_new_tokens=1, seed=1)
    assert (reply.text, reply.version) == (" Lyon", written.version)
    result = reply.results[0]
    assert (result.in_scope, result.fact_ids) == (True, ["capital"])
    assert result.usage.completion_tokens == 1
    assert memory.generate(CAPITAL, memory="never").text == before

    (found,) = memory.read(CAPITAL, top_k=1).results
    assert found.matches[0].id == "capital"
    assert found.matches[0].text == f"{CAPITAL} Lyon"
    assert found.matches[0].similarity == pytest.approx(1, abs=0.01)
    lyon, paris = memory.score(CAPITAL, ["Lyon", "Paris"]).results[0].targets
    assert lyon.logprob > paris.logprob

    forgotten = memory.forget(prompts=[CAPITAL, "nothing"])
    assert [r.status for r in forgotten.results] == ["erased", "not_found"]
    assert memory.generate(CAPITAL).text == before


def test_a_suppression_is_listed_and_undone(memory: Tenant) -> None:
    (result,) = memory.forget(prompts=[CAPITAL], mode="suppress").results
    assert result.status == "suppressed"
    assert memory.fact(result.id).kind == "suppression"
    assert memory.forget([result.id]).results[0].status == "erased"


def test_all_facts_are_listed_page_after_page(memory: Tenant, proxy: Proxy) -> None:
    memory.write([{"text": f"Instrument {i} is tuned.", "id": f"i{i}"} for i in range(600)])
    assert {fact.id for fact in memory.facts()} == {f"i{i}" for i in range(600)}
    assert sum("/facts" in path for _, path, _ in proxy.seen) == 2
    page = memory.facts_page(limit=10)
    assert len(page.facts) == 10
    assert page.next_cursor


def test_a_fact_keeps_what_it_was_given(memory: Tenant) -> None:
    memory.write(
        [{"text": "Ünïcode 山", "id": "a", "metadata": {"from": ["me"]}, "ttl_seconds": 60.0}]
    )
    fact = memory.fact("a")
    assert (fact.text, fact.metadata) == ("Ünïcode 山", {"from": ["me"]})
    assert fact.expires_at is not None
    assert fact.expires_at > time.time()
    assert memory.delete_fact("a").results[0].status == "erased"
    with pytest.raises(errors.FactNotFound):
        memory.delete_fact("a")


def test_tokens_arrive_before_the_whole(memory: Tenant) -> None:
    memory.write([{"prompt": CAPITAL, "target": "Lyon, of course"}])
    *tokens, last = memory.stream([CAPITAL, "Unrelated"], max_new_tokens=3)
    assert isinstance(last, GenerateReply)
    texts = ["", ""]
    for token in tokens:
        assert isinstance(token, Token)
        texts[token.index] += token.text
    assert texts == [result.text for result in last.results]
    assert texts[0] == " Lyon, of course"


def test_a_document_goes_in_with_progress_and_out_as_one(memory: Tenant) -> None:
    states = list(memory.stream_document(LONG, id="wing"))
    assert [s.chunks_done for s in states] == [0, 64, 128, 130, 130]
    assert memory.add_document(LONG, id="wing") == Progress(
        "wing", "complete", 130, 130, states[-1].version
    )
    (shown,) = memory.documents().documents
    assert shown == memory.document("wing")
    with pytest.raises(errors.DocumentConflict):
        memory.add_document("Another text.", id="wing")
    assert memory.delete_document("wing").chunks == 130
    assert memory.documents().documents == []


def test_a_memory_is_brought_under_a_checkpoint_or_is_there_already(memory: Tenant) -> None:
    memory.write([{"prompt": CAPITAL, "target": "Lyon"}])
    done = memory.reencode("fake-1")
    assert (done.status, done.rows, done.checkpoint) == ("current", 1, "fake-1")
    assert list(memory.stream_reencode("fake-1"))[-1] == done
    with pytest.raises(errors.OtherCheckpoint, match="fake-1"):
        memory.reencode("fake-2")


def test_a_snapshot_brings_back_what_was_forgotten(
    larimar: Larimar, memory: Tenant, tmp_path: Path, proxy: Proxy
) -> None:
    memory.write([{"prompt": CAPITAL, "target": "Lyon", "id": "capital"}])
    path = tmp_path / "memory.safetensors"
    path.write_bytes(b"".join(memory.snapshot()))
    memory.forget(["capital"])
    proxy.faults, before = ["cut after"], len(proxy.seen)
    assert memory.restore(path).facts == 1
    assert len(proxy.seen) == before + 2  # its reply was lost: the same file under the same key
    assert memory.generate(CAPITAL).text == " Lyon"
    path.write_bytes(b"not a snapshot")
    with pytest.raises(errors.SnapshotInvalid):
        memory.restore(path)
    assert memory.fact("capital").target == "Lyon"


def test_an_erasure_is_receipted_and_audited(larimar: Larimar, memory: Tenant) -> None:
    memory.write([{"prompt": CAPITAL, "target": "Lyon", "id": "capital"}])
    forgotten = memory.forget(["capital"])
    assert forgotten.receipt
    assert forgotten.receipt.key_id == larimar.receipt_key().key_id
    assert "capital" in forgotten.receipt.payload
    (result,) = forgotten.results
    assert result.confidence_before is not None
    assert result.confidence_after is not None
    assert result.confidence_before > result.confidence_after
    after: str | None = None
    entries = []
    while True:
        page = larimar.audit_page(after=after, limit=50)
        entries += page.entries
        after = page.next_after
        if after is None:
            break
    (erased,) = [e for e in entries if e.tenant == memory.info().tenant and e.action == "erase"]
    assert (erased.ids, erased.version_after) == (["capital"], forgotten.version)


def test_usage_is_what_is_stored(memory: Tenant) -> None:
    memory.write([{"text": "one"}, {"text": "two"}])
    used = memory.usage().facts
    assert (used.used, used.quota) == (2, memory.info().quota.facts)


def test_tenants_and_keys_are_administered(larimar: Larimar, proxy: Proxy) -> None:
    made = larimar.put_tenant("office", policy="grow", quota={"facts": 2})
    assert (made.tenant, made.quota.facts) == ("office", 2)
    assert "office" in larimar.tenants().tenants
    assert larimar.tenant("office").info() == made

    new = larimar.create_key(["office"], ["read", "generate"])
    assert new.id in {key.id for key in larimar.keys().keys}
    with Larimar(proxy.url, new.key) as reader:
        assert reader.tenant("office").generate(CAPITAL).text
        with pytest.raises(errors.Forbidden):
            reader.tenant("office").write([{"text": "x"}])
        rotated = larimar.rotate_key(new.id)
        with pytest.raises(errors.Unauthenticated):
            reader.tenant("office").info()
    larimar.delete_key(rotated.id)
    larimar.delete_tenant("office")
    with pytest.raises(errors.TenantNotFound):
        larimar.tenant("office").info()


def test_url_and_key_come_from_the_environment(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARIMAR_URL", proxy.url)
    monkeypatch.setenv("LARIMAR_KEY", "lrm_admin_for-the-tests-only")
    with Larimar() as larimar:
        assert isinstance(larimar.tenants().tenants, list)
