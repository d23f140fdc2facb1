"""Whatever is sent: a clear 4xx in the envelope, nothing echoed, nothing written."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api.calls import CAPITAL, FACT, Tenant, error

MALFORMED = {
    "nothing": b"",
    "a half": b'{"facts":[',
    "not json": b"facts",
    "NaN": b'{"facts":[{"text":"a","ttl_seconds":NaN}]}',
    "Infinity": b'{"facts":[{"text":"a","ttl_seconds":-Infinity}]}',
    "a lone surrogate": b'{"facts":[{"text":"a\\ud800b"}]}',
    "not UTF-8": b'{"facts":[{"text":"\xff\xfe"}]}',
    "deep nesting": b'{"facts":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a huge number": b'{"facts":[{"text":"a"}],"expected_version":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused(tenant: Tenant, body: bytes) -> None:
    response = tenant.raw("write", body)
    if body:
        error(response, 400, "invalid_json")
    else:
        error(response, 422, "invalid_request")
    assert tenant.facts() == []


SECRET = "hunter2-7c1f"
INVALID: dict[str, tuple[Any, str, str | None]] = {
    "an unknown field": ({"facts": [FACT | {SECRET: 1}]}, "invalid_request", "facts[0]"),
    "no facts": ({"facts": []}, "invalid_request", "facts"),
    "too many facts": ({"facts": [FACT] * 1001}, "invalid_request", "facts"),
    "a number for a text": ({"facts": [{"text": 5}]}, "invalid_request", "facts[0].text"),
    "prompt without target": ({"facts": [{"prompt": SECRET}]}, "invalid_request", "facts[0]"),
    "text and prompt": ({"facts": [FACT | {"text": SECRET}]}, "invalid_request", "facts[0]"),
    "an empty text": ({"facts": [{"text": ""}]}, "blank_text", "facts[0].text"),
    "blank text": ({"facts": [{"text": " \t\n\u2003"}]}, "blank_text", "facts[0].text"),
    "a bidirectional override": (
        {"facts": [{"text": f"{SECRET} \u202eevil\u202c"}]},
        "text_not_storable",
        "facts[0].text",
    ),
    "a bidirectional isolate": (
        {"facts": [FACT | {"target": f"{SECRET} \u2067x\u2069"}]},
        "text_not_storable",
        "facts[0].target",
    ),
    "a pile of combining marks": (
        {"facts": [{"text": SECRET + "\u0301" * 31}]},
        "text_not_storable",
        "facts[0].text",
    ),
    "NUL": ({"facts": [{"text": f"{SECRET}\0"}]}, "text_not_storable", "facts[0].text"),
    "an id of 10 KB": ({"facts": [FACT | {"id": "x" * 10_240}]}, "invalid_request", "facts[0].id"),
    "an id with a slash": ({"facts": [FACT | {"id": "a/b"}]}, "invalid_request", "facts[0].id"),
    "an id with a newline": ({"facts": [FACT | {"id": "a\n"}]}, "invalid_request", "facts[0].id"),
    "no time to live": (
        {"facts": [FACT | {"ttl_seconds": 0}]},
        "invalid_request",
        "facts[0].ttl_seconds",
    ),
    "large metadata": (
        {"facts": [FACT | {"metadata": {"a": SECRET * 1000}}]},
        "invalid_request",
        "facts[0].metadata",
    ),
    "a list for an object": ([SECRET], "invalid_request", None),
    "a version below zero": (
        {"facts": [FACT], "expected_version": -1},
        "invalid_request",
        "expected_version",
    ),
}


@pytest.mark.parametrize(("body", "code", "param"), INVALID.values(), ids=INVALID)
def test_an_invalid_write_is_refused(
    tenant: Tenant, body: Any, code: str, param: str | None
) -> None:
    response = tenant.post("write", body)
    assert error(response, 422, code)["param"] == param
    assert SECRET not in response.text
    assert (tenant.facts(), tenant.version()) == ([], 0)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
def test_an_infinite_number_is_refused(tenant: Tenant, number: bytes) -> None:
    fact = b'{"facts":[{"text":"a","ttl_seconds":' + number + b"}]}"
    assert error(tenant.raw("write", fact), 422, "invalid_request")["param"]
    metadata = b'{"facts":[{"text":"a","metadata":{"deep":[{"er":' + number + b"}]}}]}"
    found = error(tenant.raw("write", metadata), 422, "invalid_request")
    assert found["param"] == "facts[0].metadata"  # what lies below is the client's own
    assert tenant.facts() == []


BAD_CALLS: list[tuple[str, Any, str | None]] = [
    ("forget", {}, None),
    ("forget", {"ids": [], "prompts": []}, None),
    ("forget", {"ids": ["x"] * 600, "prompts": ["x"] * 600}, None),
    ("forget", {"ids": ["x"], "mode": "burn"}, "mode"),
    ("forget", {"prompts": [" "]}, "prompts[0]"),
    ("read", {"queries": []}, "queries"),
    ("read", {"queries": ["x"] * 65}, "queries"),
    ("read", {"queries": ["x"], "top_k": 0}, "top_k"),
    ("generate", {}, "prompt"),
    ("generate", {"prompt": []}, "prompt"),
    ("generate", {"prompt": ["x"] * 65}, "prompt"),
    ("generate", {"prompt": ["x", "\0"]}, "prompt[1]"),
    ("generate", {"prompt": "x", "max_new_tokens": 0}, "max_new_tokens"),
    ("generate", {"prompt": "x", "max_new_tokens": 10**30}, "max_new_tokens"),
    ("generate", {"prompt": "x", "max_new_tokens": "5"}, "max_new_tokens"),
    ("generate", {"prompt": "x", "temperature": -0.1}, "temperature"),
    ("generate", {"prompt": "x", "top_p": 0}, "top_p"),
    ("generate", {"prompt": "x", "seed": -1}, "seed"),
    ("generate", {"prompt": "x", "stop": [""]}, "stop[0]"),
    ("generate", {"prompt": "x", "stop": ["x"] * 17}, "stop"),
    ("generate", {"prompt": "x", "memory": "maybe"}, "memory"),
    ("generate", {"prompt": "x", "stream": "yes"}, "stream"),
    ("score", {"items": []}, "items"),
    ("score", {"items": [{"prompt": "x", "targets": []}]}, "items[0].targets"),
    ("score", {"items": [{"prompt": "x", "targets": ["\0"]}]}, "items[0].targets[0]"),
]


@pytest.mark.parametrize(("verb", "body", "param"), BAD_CALLS)
def test_every_call_checks_its_fields(
    tenant: Tenant, verb: str, body: Any, param: str | None
) -> None:
    found = tenant.post(verb, body).json()["error"]
    assert error(tenant.post(verb, body), 422, found["code"])["param"] == param


@pytest.mark.real_engine
def test_a_prompt_of_a_million_tokens_is_refused(tenant: Tenant) -> None:
    million = "a " * 1_000_000  # still below the limit of a body
    chat = {"messages": [{"role": "user", "content": million}]}
    header = {"X-Larimar-Tenant": tenant.name}
    response = tenant.client.post("/v1/chat/completions", json=chat, headers=header)
    assert error(response, 422, "prompt_too_long")["param"] == "messages[0].content"
    body = {"prompt": million}
    assert error(tenant.post("generate", body), 422, "prompt_too_long")["param"] == "prompt[0]"


@pytest.mark.real_engine
def test_a_prompt_beyond_the_context_is_refused_everywhere(tenant: Tenant) -> None:
    long = "word " * 20_000
    calls: list[tuple[str, Any, str]] = [
        ("generate", {"prompt": ["x", long]}, "prompt[1]"),
        ("generate", {"prompt": ["x", long], "stream": True}, "prompt[1]"),
        ("score", {"items": [{"prompt": long, "targets": ["y"]}]}, "items[0].prompt"),
        ("read", {"queries": ["x", "x", long]}, "queries[2]"),
    ]
    for verb, body, param in calls:
        assert error(tenant.post(verb, body), 422, "prompt_too_long")["param"] == param


WELCOME = [
    "שלום עולם",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "e\u0301 a\u0300 l'\u200fete\u0301",
    "\U0001f469\U0001f3fd\u200d\U0001f680",
]


def test_scripts_that_need_marks_and_directions_are_welcome(tenant: Tenant) -> None:
    for n, text in enumerate(WELCOME):
        tenant.write({"prompt": f"Greeting {n} {text} is", "target": text})
        assert tenant.text(f"Greeting {n} {text} is").strip() == text
    assert tenant.post("generate", {"prompt": "a \u2068quoted\u2069 name"}).is_success


ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/nowhere/{}", None),
    ("GET", "/v1/models/{}", None),
    ("GET", "/v1/tenants/{}", None),
    ("PUT", "/v1/tenants/ok", {"policy": "{}"}),
    ("PUT", "/v1/tenants/ok", {"quota": {"{}": 1}}),
    ("GET", "/v1/tenants/T/facts/{}%20", None),
    ("GET", "/v1/tenants/T/facts?cursor={}", None),
    ("GET", "/v1/tenants/T/facts?limit={}", None),
    ("GET", "/v1/tenants/T/documents/{}", None),
    ("POST", "/v1/tenants/T/documents", {"text": "a", "id": "{} {}"}),
    ("POST", "/v1/tenants/T/write", {"facts": [{"text": "a", "ttl_seconds": "{}"}]}),
    ("POST", "/v1/tenants/T/write", {"facts": [{"text": "a", "metadata": {"{}": ["{}" * 999]}}]}),
    ("POST", "/v1/tenants/T/forget", {"ids": ["{} {}"]}),
    ("POST", "/v1/tenants/T/forget", {"ids": ["a"], "mode": "{}"}),
    ("POST", "/v1/tenants/T/generate", {"prompt": "a", "memory": "{}"}),
    ("POST", "/v1/tenants/T/generate", {"prompt": "{} " * 20_000}),
    ("POST", "/v1/tenants/T/score", {"items": [{"prompt": "{}", "targets": "{}"}]}),
    ("PUT", "/v1/tenants/T/snapshot", {"{}": "{}"}),
    ("POST", "/v1/completions", {"prompt": "a", "model": "{}"}),
    ("POST", "/v1/completions", {"prompt": "a", "stop": [["{}"]]}),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "{}", "content": "{}"}]}),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": [{"{}": 1}]}]}),
    ("POST", "/v1/keys", {"tenants": ["{} {}"], "scopes": ["{}"]}),
    ("POST", "/v1/keys/{}/rotate", None),
    ("GET", "/v1/audit?after={}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_no_error_repeats_what_was_sent(tenant: Tenant, method: str, path: str, body: Any) -> None:
    secret = "hunter2"
    path = path.replace("{}", secret).replace("/T/", f"/{tenant.name}/")
    content = None if body is None else json.dumps(body).replace("{}", secret)
    headers = {
        "Content-Type": "application/json",
        "X-Larimar-Tenant": tenant.name,
        "X-Request-ID": f"{secret} {secret}",
        "Idempotency-Key": f"{secret} {secret}",
    }
    response = tenant.client.request(method, path, content=content, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    error(response, response.status_code, response.json()["error"]["code"])
    assert secret not in response.text + str(response.headers)


def test_a_large_body_is_refused_announced_or_not(tenant: Tenant) -> None:
    error(tenant.raw("write", b"x" * (3 << 20)), 413, "body_too_large")
    response = tenant.client.post(
        f"{tenant.path}/write",
        content=(b" " * 65_536 for _ in range(48)),
        headers={"Content-Type": "application/json"},
    )
    error(response, 413, "body_too_large")


def test_another_media_type_is_refused(tenant: Tenant) -> None:
    body = json.dumps({"facts": [FACT]})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        response = tenant.client.post(
            f"{tenant.path}/write", content=body, headers={"Content-Type": media_type}
        )
        error(response, 415, "unsupported_media_type")
    assert tenant.facts() == []


@pytest.mark.parametrize("name", ["UPPER", "-dash", "x" * 64, "a.b", "ünder", "a%00b", "..%2f.."])
def test_a_bad_tenant_name_is_refused(admin: httpx.Client, name: str) -> None:
    response = admin.put(f"/v1/tenants/{name}")
    assert response.status_code in (404, 422)
    error(response, response.status_code, response.json()["error"]["code"])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=" + "9" * 40, "cursor="]
)
def test_a_bad_page_is_refused(tenant: Tenant, query: str) -> None:
    found = error(tenant.client.get(f"{tenant.path}/facts?{query}"), 422, "invalid_request")
    assert found["param"] == query.split("=")[0]


def test_a_bad_idempotency_key_is_refused(tenant: Tenant) -> None:
    for key in ("", "x" * 129, "with space"):
        response = tenant.post("write", {"facts": [FACT]}, **{"Idempotency-Key": key})
        error(response, 422, "invalid_request")
    assert tenant.facts() == []


def test_the_router_answers_in_the_envelope(admin: httpx.Client, tenant: Tenant) -> None:
    error(admin.get("/nowhere"), 404, "not_found")
    error(admin.get("/v1/nowhere"), 404, "not_found")
    response = admin.patch(tenant.path)
    error(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "DELETE, GET, PUT"


def test_the_request_id_is_kept_or_made(admin: httpx.Client) -> None:
    given = admin.get("/livez", headers={"X-Request-ID": "req-1.2:3"})
    assert given.headers["X-Request-ID"] == "req-1.2:3"
    for bad in ("", "with space", "x" * 129, "<script>"):
        made = admin.get("/livez", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert made != bad
        assert len(made) == 32


def test_prompts_are_not_trimmed_to_death(tenant: Tenant) -> None:
    tenant.write(FACT)
    assert tenant.text(f"  {CAPITAL}  ") == " Lyon"
