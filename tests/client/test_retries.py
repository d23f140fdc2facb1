"""What is sent again, with which key and after how long; and what never is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from larimar_client import ApiError, Larimar, Retry, Tenant, errors
from tests.api.running import ADMIN_KEY
from tests.client.proxy import Answer, Proxy

FACT = {"prompt": "The capital of France is", "target": "Lyon"}


def refusal(status: int, code: str, retry_after: str = "1") -> Answer:
    body = json.dumps({"error": {"code": code, "message": "m"}}).encode()
    return Answer(status, body, {"Retry-After": retry_after, "Content-Type": "application/json"})


def test_a_full_queue_is_waited_for_at_least_as_long_as_it_asks(
    memory: Tenant, proxy: Proxy, waits: list[float]
) -> None:
    proxy.faults = [refusal(429, "queue_full", "7"), refusal(503, "draining", "3")]
    assert memory.generate("x").text
    assert len(waits) == 2
    assert waits[0] >= 7
    assert waits[1] >= 3


def test_retry_after_may_be_a_date(memory: Tenant, proxy: Proxy, waits: list[float]) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=20)
    proxy.faults = [refusal(503, "starting", format_datetime(soon, usegmt=True))]
    memory.info()
    assert 10 < waits[0] < 30


def test_a_wait_beyond_patience_is_the_callers(
    memory: Tenant, proxy: Proxy, waits: list[float]
) -> None:
    proxy.faults = [refusal(429, "rate_limited", "3600")]
    with pytest.raises(errors.RateLimited) as caught:
        memory.info()
    assert caught.value.retry_after == 3600
    assert waits == []


def test_attempts_end(memory: Tenant, proxy: Proxy, waits: list[float]) -> None:
    proxy.faults = [refusal(503, "store_unavailable")] * 9
    with pytest.raises(errors.StoreUnavailable):
        memory.info()
    assert len(proxy.seen) == 4
    assert len(waits) == 3


@pytest.mark.parametrize("fault", ["cut before", "cut after"])
def test_a_write_whose_reply_was_lost_is_made_once(
    memory: Tenant, proxy: Proxy, fault: str
) -> None:
    version = memory.info().version
    proxy.seen.clear()
    proxy.faults = [fault, fault]  # type: ignore[list-item]
    reply = memory.write([FACT])  # type: ignore[list-item]
    assert len(proxy.seen) == 3
    assert len(set(proxy.keys())) == 1
    assert proxy.keys()[0]
    assert reply.results[0].status == "written"
    assert memory.info().version == version + 1


def test_two_writes_are_two_changes(memory: Tenant, proxy: Proxy) -> None:
    memory.write([{"text": "one"}])
    memory.write([{"text": "one"}])
    assert len(set(proxy.keys())) == 2


def test_a_key_of_the_callers_own_is_kept(memory: Tenant, proxy: Proxy) -> None:
    first = memory.write([{"text": "one"}], idempotency_key="mine")
    assert memory.write([{"text": "one"}], idempotency_key="mine") == first
    with pytest.raises(errors.IdempotencyKeyReused):
        memory.write([{"text": "two"}], idempotency_key="mine")


def test_an_unknown_outcome_is_settled_with_the_same_key(memory: Tenant, proxy: Proxy) -> None:
    proxy.faults = [refusal(503, "outcome_unknown")]
    memory.forget(["x"])
    assert len(proxy.seen) == 2
    assert len(set(proxy.keys())) == 1


@pytest.mark.parametrize("code", ["checkpoint_mismatch", "engine_stopped"])
def test_what_needs_an_operator_is_not_asked_again(memory: Tenant, proxy: Proxy, code: str) -> None:
    proxy.faults = [refusal(503, code)]
    with pytest.raises(ApiError.CODES[code]):
        memory.info()
    assert len(proxy.seen) == 1


def test_a_key_is_never_made_twice(larimar: Larimar, proxy: Proxy) -> None:
    before = len(larimar.keys().keys)
    proxy.seen.clear()
    proxy.faults = ["cut after"]
    with pytest.raises(errors.Unreachable) as caught:
        larimar.create_key("*", ["read"])
    assert caught.value.sent
    assert len(proxy.seen) == 1
    assert len(larimar.keys().keys) == before + 1
    proxy.seen.clear()
    proxy.faults = [refusal(503, "draining")]  # the service says that it did nothing
    larimar.create_key("*", ["read"])
    assert len(proxy.seen) == 2
    proxy.seen.clear()
    for fault in (refusal(503, "outcome_unknown"), Answer(503)):
        proxy.faults = [fault]
        with pytest.raises(errors.Unavailable):
            larimar.create_key("*", ["read"])
    assert len(proxy.seen) == 2


def test_a_stream_is_opened_again_until_it_has_begun(memory: Tenant, proxy: Proxy) -> None:
    proxy.faults = ["cut after", refusal(429, "queue_full")]
    assert list(memory.stream("x"))
    assert len(proxy.seen) == 3


def test_a_refusal_is_final(memory: Tenant, proxy: Proxy) -> None:
    with pytest.raises(errors.FactNotFound):
        memory.fact("none")
    assert len(proxy.seen) == 1


def test_nobody_listens(waits: list[float]) -> None:
    with Larimar("http://127.0.0.1:9", ADMIN_KEY, retry=Retry(attempts=3)) as larimar:
        with pytest.raises(errors.Unreachable) as caught:
            larimar.create_key("*", ["read"])
        assert not caught.value.sent
        assert len(waits) == 2
