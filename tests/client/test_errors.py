"""Each of the service's codes is an exception of its own, with all that the reply said."""

from __future__ import annotations

import pytest

from larimar_client import ApiError, Larimar, LarimarError, Tenant, errors
from service.app import ROUTER_CODES
from service.errors import TABLE
from service.validation import CODES
from tests.client.proxy import Answer, Proxy

NOBODY_SEES = {"client_gone"}


def test_every_code_of_the_service_has_its_exception() -> None:
    codes = {code for _, code, _ in TABLE.values()} | set(ROUTER_CODES.values()) | CODES
    assert codes | {"invalid_json"} == set(ApiError.CODES) | NOBODY_SEES


@pytest.mark.parametrize(("status", "code"), sorted({(s, c) for s, c, _ in TABLE.values()}))
def test_the_groups_follow_the_status(status: int, code: str) -> None:
    """An unknown code of that status and the known one are caught by the same group."""
    unknown = errors.of(status, {"error": {"code": "of the future", "message": "m"}})
    known = errors.of(status, {"error": {"code": code, "message": "m"}})
    assert isinstance(known, type(unknown)), type(known).__mro__


def test_an_error_says_what_the_reply_said(memory: Tenant) -> None:
    with pytest.raises(errors.BlankText) as caught:
        memory.write([{"text": "a"}, {"text": " "}])
    error = caught.value
    assert (error.status, error.code, error.param) == (422, "blank_text", "facts[1].text")
    assert error.request_id
    assert error.details[0]["param"] == "facts[1].text"
    assert "facts[1].text" in str(error)
    assert memory.facts_page().facts == []


def test_a_fact_that_is_too_long(memory: Tenant) -> None:
    with pytest.raises(errors.FactTooLong):
        memory.write([{"text": "long " * 200}])


def test_the_version_is_held_to(memory: Tenant) -> None:
    version = memory.write([{"text": "one"}]).version
    with pytest.raises(errors.VersionConflict):
        memory.write([{"text": "two"}], expected_version=version - 1)
    assert memory.write([{"text": "two"}], expected_version=version).version == version + 1


def test_a_stream_that_is_refused_raises_before_its_first_item(memory: Tenant) -> None:
    with pytest.raises(errors.PromptTooLong):
        list(memory.stream("word " * 2000))


def test_a_stream_that_breaks_is_not_taken_for_whole(memory: Tenant, proxy: Proxy) -> None:
    headers = {"Content-Type": "text/event-stream"}
    started = b'event: token\ndata: {"index": 0, "text": " Ly"}\n\n'
    proxy.faults = [Answer(200, started, headers)]
    with pytest.raises(errors.UnexpectedReply):
        list(memory.stream("x"))
    failed = started + b'event: error\ndata: {"error": {"code": "draining", "message": "m"}}\n\n'
    proxy.faults = [Answer(200, failed, headers)]
    with pytest.raises(errors.Draining):
        list(memory.stream("x"))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"version": 1}'])
def test_a_reply_of_something_else_is_not_taken_for_ours(
    larimar: Larimar, memory: Tenant, proxy: Proxy, body: bytes
) -> None:
    proxy.faults = [Answer(200, body, {"Content-Type": "text/html"})]
    with pytest.raises(errors.UnexpectedReply):
        memory.info()
    proxy.faults = [Answer(502, body)]
    with pytest.raises(errors.Failed) as caught:
        memory.info()
    assert isinstance(caught.value, LarimarError)
    assert caught.value.code == "unknown"
