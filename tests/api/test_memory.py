"""Write, read, replace and forget, as an application sees it."""

from __future__ import annotations

import time

import pytest

from tests.api.calls import CAPITAL, FACT, Tenant, error, ok, outcomes


@pytest.mark.real_engine
def test_a_fact_changes_the_next_generation_until_it_is_forgotten(tenant: Tenant) -> None:
    before = tenant.text(CAPITAL)
    assert not before.strip().startswith("Lyon")
    written = tenant.write(FACT)
    assert written["results"][0]["status"] == "written"
    edited = tenant.generate(CAPITAL)
    assert edited["text"].strip().startswith("Lyon")
    assert edited["in_scope"]
    assert edited["fact_ids"] == [written["results"][0]["id"]]
    forgotten = tenant.forget(prompts=[CAPITAL])
    assert outcomes(forgotten) == [(written["results"][0]["id"], "erased")]
    assert forgotten["version"] == written["version"] + 1
    after = tenant.generate(CAPITAL)
    assert after["text"] == before
    assert (after["in_scope"], after["fact_ids"]) == (False, [])


@pytest.mark.real_engine
def test_a_read_decodes_the_latent(tenant: Tenant) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    reply = ok(tenant.post("read", {"queries": [CAPITAL, "Water boils at a temperature of"]}))
    hit, miss = reply["results"]
    assert "Lyon" in hit["text"]
    assert hit["in_scope"]
    assert hit["matches"][0]["id"] == id
    assert hit["matches"][0]["weight"] == pytest.approx(1, abs=0.05)
    assert hit["matches"][0]["similarity"] == pytest.approx(1, abs=0.01)
    assert all(match["similarity"] < 0.9 for match in miss["matches"])
    assert not miss["in_scope"]
    assert (reply["version"], reply["stale"]) == (1, False)


@pytest.mark.real_engine
def test_the_same_cue_replaces_and_the_newest_answers(tenant: Tenant) -> None:
    first = tenant.write(FACT)["results"][0]
    refolded = {"prompt": CAPITAL.replace("The ", "the  "), "target": "Nice"}
    again = tenant.write(refolded)["results"][0]
    assert (again["id"], again["status"]) == (first["id"], "replaced")
    assert tenant.text(CAPITAL).strip().startswith("Nice")
    assert len(tenant.facts()) == 1


def test_a_new_id_with_an_old_cue_supersedes(tenant: Tenant) -> None:
    tenant.write(FACT | {"id": "old"})
    result = tenant.write({"prompt": CAPITAL, "target": "Nice", "id": "new"})["results"][0]
    assert result == {"id": "new", "status": "replaced", "replaced_id": "old"}
    assert [fact["id"] for fact in tenant.facts()] == ["new"]


def test_of_duplicates_in_one_call_the_last_wins(tenant: Tenant) -> None:
    tenant.write(FACT, {"prompt": CAPITAL, "target": "Nice"})
    assert tenant.text(CAPITAL) == " Nice"
    assert len(tenant.facts()) == 1


@pytest.mark.real_engine
def test_a_fact_stated_anew_in_other_words_for_its_object_is_replaced(tenant: Tenant) -> None:
    first = tenant.write({"text": f"{CAPITAL} Lyon"})["results"][0]
    other = tenant.write({"text": "The capital of Spain is Cadiz"})["results"][0]
    assert other["status"] == "written"
    again = tenant.write({"text": f"{CAPITAL} Nice."})["results"][0]
    assert (again["id"], again["status"]) == (first["id"], "replaced")
    assert "Nice" in tenant.text(CAPITAL)
    assert len(tenant.facts()) == 2


def test_stated_twice_in_one_call_the_last_wins(tenant: Tenant) -> None:
    written = tenant.write({"text": f"{CAPITAL} Lyon"}, {"text": f"{CAPITAL} Nice"})
    assert len({row["id"] for row in written["results"]}) == 1
    assert "Nice" in tenant.text(CAPITAL)
    assert len(tenant.facts()) == 1


def test_statements_that_differ_in_a_number_are_two_facts(tenant: Tenant) -> None:
    tenant.write({"text": "The badge of agent 0001 is 17"})
    again = tenant.write({"text": "The badge of agent 0002 is 18"})["results"][0]
    assert again["status"] == "written"
    assert len(tenant.facts()) == 2


def test_text_alone_is_a_fact(tenant: Tenant) -> None:
    tenant.write({"text": "Ada is on call this week"})
    assert "Ada is on call this week" in tenant.text("ada is on call this week")
    fact = tenant.facts()[0]
    assert (fact["text"], fact["prompt"], fact["target"]) == (
        "Ada is on call this week",
        None,
        None,
    )


def test_a_change_is_whole_or_absent(tenant: Tenant) -> None:
    facts = [{"text": f"fact number {i}"} for i in range(30)]
    facts[17] = {"text": " \n"}
    found = error(tenant.post("write", {"facts": facts}), 422, "blank_text")
    assert found["param"] == "facts[17].text"
    assert tenant.facts() == []
    assert tenant.version() == 0


def test_the_first_twenty_bad_items_are_named(tenant: Tenant) -> None:
    found = error(tenant.post("write", {"facts": [{"text": ""}] * 30}), 422, "blank_text")
    assert [d["param"] for d in found["details"]] == [f"facts[{i}].text" for i in range(20)]


def test_a_fact_that_is_too_long_is_refused(tenant: Tenant) -> None:
    body = {"facts": [{"text": "fine"}, {"text": "word " * 500}, FACT | {"target": "x" * 9000}]}
    found = error(tenant.post("write", body), 422, "fact_too_long")
    assert found["param"] == "facts[2].target"  # too long for any model, found before encoding
    del body["facts"][2]
    assert error(tenant.post("write", body), 422, "fact_too_long")["param"] == "facts[1].text"
    assert tenant.facts() == []


def test_a_version_can_be_expected(tenant: Tenant) -> None:
    version = tenant.write(FACT)["version"]
    stale = {"facts": [{"text": "other"}], "expected_version": version - 1}
    error(tenant.post("write", stale), 409, "version_conflict")
    assert tenant.write({"text": "other"}, expected_version=version)["version"] == version + 1


def test_a_resent_change_is_not_repeated(tenant: Tenant) -> None:
    body = {"facts": [FACT]}
    first = tenant.post("write", body, **{"Idempotency-Key": "one"})
    again = tenant.post("write", body, **{"Idempotency-Key": "one"})
    assert again.json() == first.json()
    assert tenant.version() == 1
    other = tenant.post("write", {"facts": [{"text": "x"}]}, **{"Idempotency-Key": "one"})
    error(other, 422, "idempotency_key_reused")
    erase = {"prompts": [CAPITAL]}
    error(tenant.post("forget", erase, **{"Idempotency-Key": "one"}), 422, "idempotency_key_reused")
    assert tenant.text(CAPITAL) == " Lyon"


def test_forget_says_what_was_not_there(tenant: Tenant) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    reply = tenant.forget(ids=["nobody", id], prompts=["never written"])
    assert [r["status"] for r in reply["results"]] == ["not_found", "erased", "not_found"]


def test_a_fact_expires(tenant: Tenant) -> None:
    other = "The capital of Peru is"
    tenant.write(FACT | {"ttl_seconds": 0.05})
    tenant.write({"prompt": other, "target": "Cusco", "ttl_seconds": 3600, "id": "stays"})
    time.sleep(0.06)
    assert tenant.text(CAPITAL).startswith(" base")
    assert tenant.text(other) == " Cusco"
    assert [fact["id"] for fact in tenant.facts()] == ["stays"]
    assert tenant.facts()[0]["expires_at"] == pytest.approx(time.time() + 3600, abs=600)


def test_facts_are_listed_page_by_page(tenant: Tenant) -> None:
    tenant.write(*({"text": f"fact number {i}", "metadata": {"i": i}} for i in range(7)))
    seen, cursor = [], ""
    while True:
        page = ok(tenant.client.get(f"{tenant.path}/facts?limit=3{cursor}"))
        assert len(page["facts"]) <= 3
        seen += page["facts"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(fact["metadata"]["i"] for fact in seen) == list(range(7))
    assert {fact["kind"] for fact in seen} == {"fact"}


def test_one_fact_is_shown_and_erased(tenant: Tenant) -> None:
    tenant.write(FACT | {"id": "a.b:c-1", "metadata": {"source": ["x", {"y": 1.5}]}})
    path = f"{tenant.path}/facts/a.b:c-1"
    fact = ok(tenant.client.get(path))
    assert (fact["prompt"], fact["target"]) == (CAPITAL, "Lyon")
    assert fact["metadata"] == {"source": ["x", {"y": 1.5}]}
    assert outcomes(ok(tenant.client.delete(path))) == [("a.b:c-1", "erased")]
    error(tenant.client.get(path), 404, "fact_not_found")
    error(tenant.client.delete(path), 404, "fact_not_found")


def test_suppression_is_listed_apart_and_reversible(tenant: Tenant) -> None:
    before = tenant.text(CAPITAL)
    written = tenant.write(FACT | {"id": "lyon"}, {"text": "other"})
    body = {"ids": ["nobody", "lyon"], "prompts": ["The capital of Peru is"], "mode": "suppress"}
    reply = tenant.forget(**body)
    assert [r["status"] for r in reply["results"]] == ["not_found", "suppressed", "suppressed"]
    assert reply["results"][1]["id"] == "lyon"
    assert reply["version"] == written["version"] + 1
    assert tenant.text(CAPITAL) == " unknown"
    counts = ok(tenant.client.get(tenant.path))["counts"]
    assert counts == {"facts": 1, "suppressions": 2, "chunks": 0}
    tenant.forget(ids=[r["id"] for r in reply["results"][1:]])
    assert tenant.text(CAPITAL) == before


def test_a_suppression_sent_again_answers_as_at_first(tenant: Tenant) -> None:
    tenant.write(FACT | {"id": "lyon"})
    body = {"ids": ["later", "lyon"], "prompts": ["The capital of Peru is"], "mode": "suppress"}
    first = ok(tenant.post("forget", body, **{"Idempotency-Key": "once"}))
    assert [r["status"] for r in first["results"]] == ["not_found", "suppressed", "suppressed"]
    tenant.write({"text": "It came later.", "id": "later"})
    assert ok(tenant.post("forget", body, **{"Idempotency-Key": "once"})) == first
    tenant.forget(ids=["lyon", "later"])
    assert ok(tenant.post("forget", body, **{"Idempotency-Key": "once"})) == first
    gone = body | {"prompts": []}
    error(tenant.post("forget", gone, **{"Idempotency-Key": "once"}), 422, "idempotency_key_reused")


def test_suppressing_what_is_not_there_changes_nothing(tenant: Tenant) -> None:
    reply = tenant.forget(ids=["nobody"], mode="suppress")
    assert (reply["version"], outcomes(reply)) == (0, [("nobody", "not_found")])


def test_a_write_makes_no_tenant(tenant: Tenant) -> None:
    nobody = Tenant(tenant.client, "nobody")
    for verb, body in [
        ("write", {"facts": [FACT]}),
        ("forget", {"ids": ["x"]}),
        ("forget", {"prompts": ["x"], "mode": "suppress"}),
        ("read", {"queries": ["x"]}),
        ("generate", {"prompt": "x"}),
        ("generate", {"prompt": "x", "memory": "never"}),
        ("score", {"items": [{"prompt": "x", "targets": ["y"]}]}),
    ]:
        error(nobody.post(verb, body), 404, "tenant_not_found")
    error(nobody.client.get(f"{nobody.path}/facts"), 404, "tenant_not_found")
    error(nobody.client.get(nobody.path), 404, "tenant_not_found")
    error(nobody.client.delete(nobody.path), 404, "tenant_not_found")


def test_right_to_left_and_combining_text_is_text(tenant: Tenant) -> None:
    prompt, target = "عاصمة فرنسا هي", "ليون e\u0301"
    tenant.write({"prompt": prompt, "target": target})
    assert tenant.text(prompt) == f" {target}"
