"""The official client works unchanged, and gets the memory with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from service.engine.fake import FakeEngine
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import ADMIN_KEY, Running, listening, settings
from tests.api.test_auth import make_key

OTHER = "The largest planet is"


@pytest.fixture
def client(running: Running, admin: httpx.Client, tenant: Tenant) -> Iterator[openai.OpenAI]:
    """The official client with a key of one tenant."""
    key = make_key(admin, [tenant.name], "generate")["key"]
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0) as one:
        yield one


def used(reply: Any) -> dict[str, Any]:
    found: dict[str, Any] = reply.model_extra["larimar"]
    return found


@pytest.mark.real_engine
def test_a_completion_uses_the_memory(client: openai.OpenAI, tenant: Tenant) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    reply = client.completions.create(model="default", prompt=CAPITAL)
    assert reply.choices[0].text.strip().startswith("Lyon")
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert used(reply)["in_scope"]
    assert used(reply)["fact_ids"] == [id]
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.choices[0].text == tenant.text(CAPITAL, max_new_tokens=16)


@pytest.mark.real_engine
def test_the_model_base_never_uses_it(client: openai.OpenAI, tenant: Tenant) -> None:
    before = client.completions.create(model="base", prompt=CAPITAL).choices[0].text
    tenant.write(FACT)
    reply = client.completions.create(model="base", prompt=CAPITAL)
    assert reply.choices[0].text == before
    assert not used(reply)["in_scope"]


def test_prompts_and_choices_are_counted_out(client: openai.OpenAI, tenant: Tenant) -> None:
    tenant.write(FACT)
    reply = client.completions.create(
        model="default", prompt=[CAPITAL, OTHER], n=2, temperature=1.0, seed=5
    )
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    first, second = reply.choices[:2]
    assert first.text.startswith(" Lyon")
    assert first.text != second.text  # choices of one seed differ …
    again = client.completions.create(
        model="default", prompt=[CAPITAL, OTHER], n=2, temperature=1.0, seed=5
    )
    assert [c.text for c in again.choices] == [c.text for c in reply.choices]  # … and repeat
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(CAPITAL.split()) + len(OTHER.split())
    assert reply.choices[2].model_extra == {
        "larimar": {"in_scope": False, "confidence": pytest.approx(0, abs=0.89), "fact_ids": []}
    }


@pytest.mark.real_engine
def test_stop_and_length(client: openai.OpenAI, tenant: Tenant) -> None:
    reply = client.completions.create(model="base", prompt=OTHER, max_tokens=3)
    assert reply.choices[0].finish_reason == "length"
    text = reply.choices[0].text
    stop = text.split()[-1]
    cut = client.completions.create(model="base", prompt=OTHER, max_tokens=3, stop=stop)
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].text.rstrip() == text[: text.index(stop)].rstrip()


@pytest.mark.real_engine
def test_logprobs(client: openai.OpenAI) -> None:
    choice = client.completions.create(
        model="base", prompt=OTHER, logprobs=2, max_tokens=4
    ).choices[0]
    assert choice.logprobs is not None
    tokens, offsets = choice.logprobs.tokens, choice.logprobs.text_offset
    assert tokens
    assert offsets
    assert "".join(tokens).startswith(choice.text)
    assert choice.text[offsets[-1] :].startswith(tokens[-1][:1])
    for value, top in zip(
        choice.logprobs.token_logprobs or [], choice.logprobs.top_logprobs or [], strict=True
    ):
        assert len(top) == 2
        assert value == pytest.approx(max(top.values()))  # greedy takes the best

    message = [{"role": "user", "content": OTHER}]
    chat: Any = client.chat.completions.create(
        model="base",
        messages=message,  # type: ignore[arg-type]
        logprobs=True,
        top_logprobs=2,
        max_tokens=3,
    )
    for token in chat.choices[0].logprobs.content:
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) == 2


@pytest.mark.real_engine
def test_a_stream_of_completions(client: openai.OpenAI, tenant: Tenant) -> None:
    tenant.write(FACT)
    plain = client.completions.create(model="default", prompt=[CAPITAL, OTHER])
    texts, ends, uses, counted = ["", ""], {}, {}, None
    for chunk in client.completions.create(
        model="default",
        prompt=[CAPITAL, OTHER],
        stream=True,
        stream_options={"include_usage": True},
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
                uses[choice.index] = used(choice)
        counted = chunk.usage or counted
    assert texts == [choice.text for choice in plain.choices]
    assert ends == {choice.index: choice.finish_reason for choice in plain.choices}
    assert uses == {choice.index: used(choice) for choice in plain.choices}
    assert counted == plain.usage


@pytest.mark.real_engine
def test_a_conversation_asks_its_last_user_message(client: openai.OpenAI, tenant: Tenant) -> None:
    id = tenant.write(FACT)["results"][0]["id"]
    messages: list[Any] = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": CAPITAL}]},
    ]
    reply: Any = client.chat.completions.create(model="default", messages=messages, max_tokens=12)
    assert used(reply)["fact_ids"] == [id]
    assert "Lyon" in reply.choices[0].message.content
    assert reply.choices[0].message.role == "assistant"
    text, role = "", None
    use: dict[str, Any] = {}
    stream: Any = client.chat.completions.create(
        model="default", messages=messages, max_tokens=12, stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            role = choice.delta.role or role
            text += choice.delta.content or ""
            use = used(choice) if choice.finish_reason else use
    assert (role, text) == ("assistant", reply.choices[0].message.content)
    assert use == used(reply)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["default", "base"]
    assert client.models.retrieve("base").id == "base"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="gpt-4", prompt="x")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_the_tenant_comes_from_the_key_or_the_header(
    running: Running, admin: httpx.Client, tenant: Tenant
) -> None:
    tenant.write(FACT)
    body = {"model": "default", "prompt": CAPITAL}
    error(admin.post("/v1/completions", json=body), 400, "tenant_required")
    header = {"X-Larimar-Tenant": tenant.name}
    reply = ok(admin.post("/v1/completions", json=body, headers=header))
    assert reply["choices"][0]["text"] == " Lyon"
    several = make_key(admin, [tenant.name, "another"], "generate")["key"]
    with running.client(several) as client:
        error(client.post("/v1/completions", json=body), 400, "tenant_required")
        ok(client.post("/v1/completions", json=body, headers=header))
        nobody = {"X-Larimar-Tenant": "nobody"}
        error(client.post("/v1/completions", json=body, headers=nobody), 403, "forbidden")
    with running.client(make_key(admin, [tenant.name], "read")["key"]) as reader:
        error(reader.post("/v1/completions", json=body), 403, "forbidden")
    missing = {"X-Larimar-Tenant": "nobody"}
    error(admin.post("/v1/completions", json=body, headers=missing), 404, "tenant_not_found")


CHAT = {"model": "default", "messages": [{"role": "user", "content": "x"}]}
BAD: list[tuple[str, dict[str, Any], str | None]] = [
    ("completions", {"prompt": "x", "n": 0}, "n"),
    ("completions", {"prompt": ["x"] * 64, "n": 2}, None),
    ("completions", {"prompt": [1, 2]}, "prompt[0]"),
    ("completions", {"prompt": "x", "logprobs": 6}, "logprobs"),
    ("completions", {"prompt": "x", "echo": True}, None),
    ("completions", {"prompt": "x", "temperature": "hot"}, "temperature"),
    ("completions", {}, "prompt"),
    ("chat/completions", CHAT | {"messages": []}, "messages"),
    ("chat/completions", CHAT | {"tools": [{"type": "function"}]}, None),
    (
        "chat/completions",
        CHAT | {"messages": [{"role": "tool", "content": "x"}]},
        "messages[0].role",
    ),
    (
        "chat/completions",
        CHAT | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages[0].content",
    ),
    ("chat/completions", CHAT | {"top_logprobs": 21}, "top_logprobs"),
    ("chat/completions", CHAT | {"frequency_penalty": 0.5}, None),
    ("completions", {"prompt": "x", "logit_bias": {"50256": -100}}, None),
    ("chat/completions", CHAT | {"response_format": {"type": "json_object"}}, None),
    ("completions", {"prompt": "x", "best_of": 2}, None),
]


@pytest.mark.parametrize(("path", "body", "param"), BAD)
def test_what_is_not_offered_is_refused(
    admin: httpx.Client, tenant: Tenant, path: str, body: dict[str, Any], param: str | None
) -> None:
    header = {"X-Larimar-Tenant": tenant.name}
    response = admin.post(f"/v1/{path}", json=body, headers=header)
    assert error(response, 422, "invalid_request")["param"] == param


def test_fields_that_change_nothing_are_ignored(admin: httpx.Client, tenant: Tenant) -> None:
    header = {"X-Larimar-Tenant": tenant.name}
    body: dict[str, Any] = CHAT | {
        "user": "someone",
        "store": False,
        "tools": [],
        "seed": None,
        "stop": None,
        "presence_penalty": 0,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "messages": [{"role": "system", "content": ""}, *CHAT["messages"]],
    }
    ok(admin.post("/v1/chat/completions", json=body, headers=header))
    ok(admin.post("/v1/completions", json={"prompt": "x", "best_of": 1}, headers=header))


@pytest.mark.parametrize(("role", "param"), [("system", ""), ("user", "[0].content")])
def test_a_conversation_that_says_nothing_is_refused(
    admin: httpx.Client, tenant: Tenant, role: str, param: str
) -> None:
    header = {"X-Larimar-Tenant": tenant.name}
    body = CHAT | {"messages": [{"role": role, "content": ""}]}
    response = admin.post("/v1/chat/completions", json=body, headers=header)
    assert error(response, 422, "blank_text")["param"] == f"messages{param}"


def test_an_error_in_a_stream_reaches_the_client(running: Running, tenant: Tenant) -> None:
    with openai.OpenAI(
        base_url=f"{running.url}/v1",
        api_key=ADMIN_KEY,
        max_retries=0,
        default_headers={"X-Larimar-Tenant": tenant.name},
    ) as client:
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client.completions.create(model="base", prompt="word " * 20_000, stream=True)
        assert (caught.value.code, caught.value.param) == ("prompt_too_long", "prompt[0]")


def test_an_engine_that_dies_ends_the_client_s_stream(valkey: str) -> None:
    engine = FakeEngine(delay=0.2)
    with listening(settings(valkey), engine) as running, running.client() as admin:
        admin.put("/v1/tenants/dying")
        header = {"X-Larimar-Tenant": "dying"}
        with openai.OpenAI(
            base_url=f"{running.url}/v1", api_key=ADMIN_KEY, max_retries=0, default_headers=header
        ) as client:
            stream = client.completions.create(model="base", prompt=OTHER, stream=True)
            assert next(stream).choices[0].text
            engine.kill()
            with pytest.raises(openai.APIError) as caught:
                list(stream)
            assert caught.value.code == "engine_stopped"
