"""The whole path on the real model: HTTP, Valkey, latents, decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from memory_store.embedded import EmbeddedValkey
from service.engine.batcher import Larimar
from service.model.larimar import LarimarModel
from tests.api.calls import Tenant
from tests.api.running import listening, settings

FACT = {"prompt": "The owner of the billing service is", "target": "Priya Nakamura"}
ASKED = "Who owns the billing service?"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path)
    yield server.start()
    server.stop()


def made(client: httpx.Client) -> Tenant:
    tenant = Tenant(client, "acme")
    client.put(tenant.path).raise_for_status()
    return tenant


def test_without_any_stored_text_generations_stay_the_same(model: LarimarModel, url: str) -> None:
    """Every record is deleted behind the service's back; a worker that starts afterwards has
    nothing but addresses and latents."""
    with listening(settings(url), Larimar(model)) as one, one.client() as client:
        tenant = made(client)
        tenant.write(FACT)
        before = [tenant.text(prompt) for prompt in (FACT["prompt"], ASKED)]
    with Redis.from_url(url) as redis:
        records = [key for key in redis.keys("larimar:{acme}:*") if b":rec:" in key]
        assert records
        assert redis.delete(*records) == len(records)
        left = b"".join(redis.dump(key) or b"" for key in redis.keys("larimar:{acme}:*"))
        assert b"Nakamura" not in left
    with listening(settings(url), Larimar(model)) as again, again.client() as client:
        tenant = Tenant(client, "acme")
        after = [tenant.text(prompt) for prompt in (FACT["prompt"], ASKED)]
    assert after == before
    assert [text.strip() for text in after] == ["Priya Nakamura"] * 2


def test_facts_and_sentences_without_a_word_are_stored(model: LarimarModel, url: str) -> None:
    marks = ["***", "\N{PARTY POPPER}", "\N{GRINNING FACE}"]
    with listening(settings(url), Larimar(model)) as one, one.client() as client:
        tenant = made(client)
        tenant.write(*({"prompt": mark, "target": "Lyon"} for mark in marks))
        found = tenant.post("read", {"queries": marks}).json()["results"]
        assert [r["matches"][0]["text"] for r in found if r["in_scope"]] == [
            f"{mark} Lyon" for mark in marks
        ]
        text = "The parcel left Rotterdam.\n\n***\n\nIt arrived in Oslo."
        tenant.post("documents", {"text": text}).raise_for_status()


def test_scores_of_an_erased_target_are_those_of_the_base(model: LarimarModel, url: str) -> None:
    item = {"items": [{"prompt": FACT["prompt"], "targets": [FACT["target"]]}]}

    def score(memory: str) -> float:
        reply = tenant.post("score", item | {"memory": memory}).json()
        return float(reply["results"][0]["targets"][0]["logprob"])

    with listening(settings(url), Larimar(model)) as one, one.client() as client:
        tenant = made(client)
        base = score("never")
        tenant.write(FACT)
        assert score("auto") > base + 5
        tenant.forget(prompts=[FACT["prompt"]])
        assert score("auto") == pytest.approx(base, abs=1e-4)
        assert score("always") == pytest.approx(base, abs=1e-4)
