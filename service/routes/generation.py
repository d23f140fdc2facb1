"""Generate with a tenant's memory, and score continuations."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from fastapi import Request
from starlette.responses import StreamingResponse

from memory_store.store import TenantMemory
from service.engine.protocol import (
    Generated,
    GenerateItem,
    PromptTooLong,
    Sampling,
    ScoreItem,
    Token,
)
from service.errors import PromptRefused
from service.resources import Service
from service.routes.common import (
    Generator,
    Model,
    Reader,
    Running,
    current_memory,
    protected,
)
from service.schemas import (
    GenerateReply,
    GenerateRequest,
    GenerateResult,
    ScoreReply,
    ScoreRequest,
    ScoreResult,
    TargetOut,
    Usage,
)
from service.sse import STREAM, event, event_stream
from service.waiting import answer

router = protected("generation", "/v1/tenants/{tenant}")


@router.post("/generate", response_model=GenerateReply, responses=STREAM)
async def generate(
    tenant: Generator,
    body: GenerateRequest,
    request: Request,
    service: Running,
    model: Model,
) -> GenerateReply | StreamingResponse:
    """Continue prompts; facts in scope change the text, anything else is the base model's.

    With `stream`, server-sent events: `token {"index","text"}`, then `done`, or `error`.
    """
    memory = await current_memory(service, tenant)
    events = observed(service, tenant, model.generate(_items(body, memory)))
    if body.stream:
        return await event_stream(request, _stream(events, memory, len(body.prompt)))
    ends = await answer(request, collect(events, len(body.prompt)))
    return _reply(memory, ends)


@router.post("/score")
async def score(tenant: Reader, body: ScoreRequest, service: Running, model: Model) -> ScoreReply:
    """Log-probabilities of targets as continuations of their prompts."""
    memory = await current_memory(service, tenant)
    items = [ScoreItem(item.prompt, tuple(item.targets)) for item in body.items]
    try:
        scored = await model.score(memory, items, body.memory)
    except PromptTooLong as exc:
        raise PromptRefused(str(exc), param=f"items[{exc.index}].prompt") from None
    results = [
        ScoreResult(
            in_scope=one.in_scope,
            targets=[
                TargetOut(
                    target=t.target,
                    logprob=t.logprob,
                    tokens=list(t.tokens),
                    token_logprobs=list(t.token_logprobs),
                )
                for t in one.targets
            ],
        )
        for one in scored
    ]
    return ScoreReply(version=memory.info.version, stale=memory.stale, results=results)


async def observed(
    service: Service,
    tenant: str,
    events: AsyncIterator[Token | Generated],
    param: str = "prompt[{}]",
    *,
    each: int = 1,
) -> AsyncGenerator[Token | Generated, None]:
    """The engine's events, counted, its refusals located: a prompt has `each` rows.

    Closing this closes the engine's.
    """
    await service.limits.admit_tokens(tenant)
    started, first = time.perf_counter(), True
    span = service.tracing.begin("generate")
    unfinished: Counter[int] = Counter()  # row → pieces of text so far, about a token each
    try:
        async for item in events:
            if first:
                service.metrics.ttft.observe(time.perf_counter() - started)
                span.add_event("first text")
                first = False
            if isinstance(item, Generated):
                del unfinished[item.index]
                service.metrics.decided(item.in_scope, item.confidence)
                service.metrics.tokens.labels("prompt").inc(item.prompt_tokens)
                await _spend(service, tenant, item.completion_tokens)
            else:
                unfinished[item.index] += 1
            yield item
    except PromptTooLong as exc:
        raise PromptRefused(str(exc), param=param.format(exc.index // each)) from None
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
        # Who hangs up before the end has used them all the same.
        await _spend(service, tenant, unfinished.total())
        span.end()


async def _spend(service: Service, tenant: str, tokens: int) -> None:
    service.metrics.tokens.labels("completion").inc(tokens)
    await service.limits.spend(tenant, tokens)


async def collect(events: AsyncGenerator[Token | Generated, None], rows: int) -> list[Generated]:
    """The ends of all rows, in their order."""
    ends: dict[int, Generated] = {}
    async with aclosing(events):
        async for item in events:
            if isinstance(item, Generated):
                ends[item.index] = item
    return [ends[index] for index in range(rows)]


def usage(prompt_tokens: int, completion_tokens: int) -> Usage:
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )


def _items(body: GenerateRequest, memory: TenantMemory) -> list[GenerateItem]:
    sampling = Sampling(
        max_new_tokens=body.max_new_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=tuple(body.stop),
        seed=body.seed,
    )
    return [GenerateItem(prompt, memory, body.memory, sampling) for prompt in body.prompt]


async def _stream(
    events: AsyncGenerator[Token | Generated, None], memory: TenantMemory, rows: int
) -> AsyncGenerator[bytes, None]:
    ends: dict[int, Generated] = {}
    async with aclosing(events):
        async for item in events:
            if isinstance(item, Generated):
                ends[item.index] = item
            elif item.text:
                yield event({"index": item.index, "text": item.text}, "token")
    reply = _reply(memory, [ends[index] for index in range(rows)])
    yield event(reply.model_dump_json(), "done")


def _reply(memory: TenantMemory, ends: Sequence[Generated]) -> GenerateReply:
    results = [
        GenerateResult(
            text=end.text,
            in_scope=end.in_scope,
            confidence=end.confidence,
            fact_ids=list(end.fact_ids),
            finish_reason=end.finish_reason,
            usage=usage(end.prompt_tokens, end.completion_tokens),
        )
        for end in ends
    ]
    return GenerateReply(version=memory.info.version, stale=memory.stale, results=results)
