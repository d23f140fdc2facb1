"""Generation: sampling, batches, streams and what happens when it cannot go on."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest

from service.engine.fake import FakeEngine, base_answer
from service.engine.protocol import Generated, GenerateItem, OutOfMemory, Token
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import Running, listening, settings

UNRELATED = "The largest planet is"


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Server-sent events as (name, data), as they arrive."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.real_engine
def test_a_batch_mixes_scopes(tenant: Tenant) -> None:
    tenant.write(FACT)
    alone = tenant.text(UNRELATED, memory="never")
    body = {"prompt": [UNRELATED, CAPITAL, UNRELATED], "max_new_tokens": 12}
    reply = ok(tenant.post("generate", body))
    first, edited, last = reply["results"]
    assert edited["text"].strip().startswith("Lyon")
    assert first["text"] == last["text"] == alone
    assert [r["in_scope"] for r in reply["results"]] == [False, True, False]
    assert reply["version"] == 1
    assert not reply["stale"]


@pytest.mark.real_engine
def test_never_is_the_base_model(tenant: Tenant) -> None:
    before = tenant.generate(CAPITAL, memory="never")
    tenant.write(FACT)
    after = tenant.generate(CAPITAL, memory="never")
    assert after["text"] == before["text"]
    assert (after["in_scope"], after["fact_ids"]) == (False, [])


def test_always_reads_out_of_scope_too(tenant: Tenant) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    near = "The capital of France is not"
    assert tenant.text(near) == base_answer(near) or tenant.generate(near)["in_scope"]
    forced = tenant.generate("the capital", memory="always")
    assert (forced["text"], forced["fact_ids"], forced["in_scope"]) == (" Lyon", [id], False)


@pytest.mark.real_engine
def test_the_length_is_kept_and_counted(tenant: Tenant) -> None:
    result = tenant.generate(UNRELATED, max_new_tokens=2)
    assert result["finish_reason"] == "length"
    assert result["usage"]["completion_tokens"] == 2
    usage = result["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] >= 4


def test_a_stop_string_ends_the_text_before_it(tenant: Tenant) -> None:
    tenant.write({"prompt": CAPITAL, "target": "Lyon on the Rhone"})
    result = tenant.generate(CAPITAL, stop=[" the", "Rhone"])
    assert (result["text"], result["finish_reason"]) == (" Lyon on", "stop")
    assert tenant.text(CAPITAL, stop=" on") == " Lyon"


@pytest.mark.real_engine
def test_a_seed_repeats_a_sample(tenant: Tenant) -> None:
    def sample(seed: int) -> str:
        return tenant.text(UNRELATED, temperature=1.5, seed=seed, max_new_tokens=12)

    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(5)}) > 1


@pytest.mark.real_engine
def test_a_stream_says_what_the_plain_reply_says(tenant: Tenant) -> None:
    tenant.write(FACT)
    body = {"prompt": [CAPITAL, UNRELATED], "max_new_tokens": 8}
    plain = ok(tenant.post("generate", body))
    path = f"{tenant.path}/generate"
    with tenant.client.stream("POST", path, json=body | {"stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        received = list(events(response))
    assert received[-1] == ("done", plain)
    pieces = ["", ""]
    for name, data in received[:-1]:
        assert name == "token"
        pieces[data["index"]] += data["text"]
    assert pieces == [result["text"] for result in plain["results"]]


@pytest.mark.real_engine
def test_scores_follow_the_edit(tenant: Tenant) -> None:
    body = {"items": [{"prompt": CAPITAL, "targets": ["Lyon", "Paris"]}]}
    before = ok(tenant.post("score", body))["results"][0]
    tenant.write(FACT)
    after = ok(tenant.post("score", body))["results"][0]
    assert (before["in_scope"], after["in_scope"]) == (False, True)
    assert after["targets"][0]["logprob"] > before["targets"][0]["logprob"]
    for target in after["targets"]:
        assert target["logprob"] == pytest.approx(sum(target["token_logprobs"]), abs=1e-4)
        assert len(target["tokens"]) == len(target["token_logprobs"])
    never = ok(tenant.post("score", body | {"memory": "never"}))["results"][0]
    assert never == before


# --- a slow engine that can be filled, left and killed --------------------------------------


@pytest.fixture
def slow(valkey: str) -> Iterator[tuple[Running, FakeEngine]]:
    engine = FakeEngine(rows=2, delay=0.2)
    with listening(settings(valkey), engine) as one:
        yield one, engine


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_queue_is_429_with_retry_after(slow: tuple[Running, FakeEngine]) -> None:
    running, engine = slow
    with running.client() as client:
        client.put("/v1/tenants/slow")
        tenant = Tenant(client, "slow")
        body = {"prompt": [UNRELATED] * 2}
        thread = threading.Thread(target=lambda: tenant.post("generate", body))
        thread.start()
        _until(lambda: engine.running == 2)
        assert 'larimar_engine_items{state="decoding"} 2.0' in client.get("/metrics").text
        for stream in (False, True):
            response = tenant.post("generate", {"prompt": "x", "stream": stream})
            error(response, 429, "queue_full")
            assert response.headers["Retry-After"] == "1"
        thread.join()
        assert ok(tenant.post("generate", body))["results"]


def test_a_client_that_leaves_frees_its_rows(slow: tuple[Running, FakeEngine]) -> None:
    running, engine = slow
    body = {"prompt": [UNRELATED] * 2}
    with running.client() as client:
        client.put("/v1/tenants/slow")
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/tenants/slow/generate", json=body, timeout=0.3)
        _until(lambda: engine.running == 0)


def test_a_client_that_leaves_a_stream_frees_its_rows(
    slow: tuple[Running, FakeEngine],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is no error of ours, though rows take a moment to go: the server's log says nothing."""
    running, engine = slow
    generate = engine.generate

    async def lingering(items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        try:
            async for event in generate(items):
                yield event
        finally:
            await asyncio.sleep(0.05)

    monkeypatch.setattr(engine, "generate", lingering)
    body = {"prompt": [UNRELATED] * 2, "stream": True}
    with running.client() as client:
        client.put("/v1/tenants/slow")
        with client.stream("POST", "/v1/tenants/slow/generate", json=body) as response:
            received = events(response)  # held: a dropped generator closes the response
            assert next(received)[0] == "token"
            assert engine.running == 2
        _until(lambda: engine.running == 0)
        _until(lambda: "larimar_inflight_requests 1.0" in client.get("/metrics").text)  # this one
    assert not [record for record in caplog.records if record.name == "uvicorn.error"]


def test_a_dying_engine_ends_a_stream_with_an_error(slow: tuple[Running, FakeEngine]) -> None:
    running, engine = slow
    with running.client() as client:
        client.put("/v1/tenants/slow")
        body = {"prompt": UNRELATED, "stream": True}
        with client.stream("POST", "/v1/tenants/slow/generate", json=body) as response:
            received = events(response)
            assert next(received)[0] == "token"
            engine.kill()
            name, data = list(received)[-1]
        assert (name, data["error"]["code"]) == ("error", "engine_stopped")
        assert data["error"]["request_id"] == response.headers["X-Request-ID"]
        _until(lambda: client.get("/livez").status_code == 503)
        error(client.get("/livez"), 503, "engine_stopped")
        error(client.get("/readyz"), 503, "engine_stopped")


def test_a_quiet_stream_is_kept_alive(
    slow: tuple[Running, FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments before the first event and between events; the events stay what they are."""
    monkeypatch.setattr("service.sse.KEEP_ALIVE_SECONDS", 0.05)
    running, _ = slow
    with running.client() as client:
        client.put("/v1/tenants/slow")
        plain = ok(client.post("/v1/tenants/slow/generate", json={"prompt": UNRELATED}))
        body = {"prompt": UNRELATED, "stream": True}
        with client.stream("POST", "/v1/tenants/slow/generate", json=body) as response:
            lines = list(response.iter_lines())
    begins = [i for i, line in enumerate(lines) if line.startswith("event: ")]
    comments = [i for i, line in enumerate(lines) if line.startswith(":")]
    assert comments[0] < begins[0]
    assert any(begins[0] < i < begins[1] for i in comments)
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert json.loads(data[-1]) == plain


def test_a_late_refusal_is_an_event(valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a comment has kept the connection, the status is out: the error comes inside."""
    monkeypatch.setattr("service.sse.KEEP_ALIVE_SECONDS", 0.05)
    engine = FakeEngine(delay=0.5)
    with listening(settings(valkey), engine) as running, running.client() as client:
        client.put("/v1/tenants/late")
        body = {"prompt": UNRELATED, "stream": True}
        with client.stream("POST", "/v1/tenants/late/generate", json=body) as response:
            assert response.status_code == 200
            engine.kill()
            ((name, data),) = list(events(response))
    assert (name, data["error"]["code"]) == ("error", "engine_stopped")


class Cramped(FakeEngine):
    """A device without memory for a row: for the whole call, or after its first word."""

    async def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        if items[0].prompt == UNRELATED:
            yield Token(0, " one", ())
        raise OutOfMemory


def test_what_does_not_fit_the_device_is_503_and_the_service_lives(valkey: str) -> None:
    with listening(settings(valkey), Cramped()) as running, running.client() as client:
        client.put("/v1/tenants/large")
        tenant, header = Tenant(client, "large"), {"X-Larimar-Tenant": "large"}
        for stream in (False, True):
            body = {"prompt": "x", "stream": stream}
            error(tenant.post("generate", body), 503, "out_of_memory")
            reply = client.post("/v1/completions", json=body | {"model": "default"}, headers=header)
            error(reply, 503, "out_of_memory")
        body = {"prompt": UNRELATED, "stream": True}
        with client.stream("POST", "/v1/tenants/large/generate", json=body) as response:
            (_, first), (name, data) = list(events(response))
        assert (first["text"], name) == (" one", "error")
        assert data["error"]["code"] == "out_of_memory"
        ok(client.get("/readyz"))
