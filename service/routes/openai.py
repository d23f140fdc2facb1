"""OpenAI's API: its clients work unchanged, and get the tenant's memory with it.

The model `default` reads the memory, `base` never does. Omitted temperature is 0, as on every
route here: an edited fact should not depend on a draw.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import StreamingResponse

from memory_store.store import TenantMemory
from service.auth import allow_from_header
from service.engine.protocol import (
    Generated,
    GenerateItem,
    MemoryMode,
    Sampling,
    Token,
    TokenLogprob,
)
from service.errors import ModelNotFound
from service.openai_schemas import (
    ChatReply,
    ChatRequest,
    CompletionReply,
    CompletionRequest,
    ModelOut,
    ModelsReply,
    OpenAiBody,
)
from service.openai_shapes import ChatShape, CompletionShape, Shape
from service.routes.common import Model, Running, current_memory, protected
from service.routes.generation import observed, usage
from service.schemas import Usage
from service.sse import STREAM, event, event_stream
from service.waiting import answer

router = protected("openai", "/v1")
HeaderTenant = Annotated[str, Depends(allow_from_header("generate"))]
MODES: dict[str, MemoryMode] = {"default": "auto", "base": "never"}
CREATED = 1_795_000_000  # of both models, which have no date of their own
COMPLETION_TOKENS = 16  # OpenAI's default
CHAT_TOKENS = 256


@router.post("/completions", response_model=CompletionReply, responses=STREAM)
async def completions(
    tenant: HeaderTenant,
    body: CompletionRequest,
    request: Request,
    service: Running,
    model: Model,
) -> CompletionReply | StreamingResponse:
    """Continue prompts."""
    mode = _mode(body.model)
    memory = await current_memory(service, tenant)
    rows = [
        GenerateItem(prompt, memory, mode, _sampling(body, i, COMPLETION_TOKENS, body.logprobs))
        for prompt in body.prompt
        for i in range(body.n or 1)
    ]
    shape = CompletionShape(f"cmpl-{uuid.uuid4().hex}", int(time.time()), body.model)
    run = Run(body, observed(service, tenant, model.generate(rows), each=body.n or 1), len(rows))
    if body.stream:
        return await _streamed(request, run, shape)
    await answer(request, run.finish())
    return shape.reply(run.ends, run.tokens, run.usage())


@router.post("/chat/completions", response_model=ChatReply, responses=STREAM)
async def chat_completions(
    tenant: HeaderTenant, body: ChatRequest, request: Request, service: Running, model: Model
) -> ChatReply | StreamingResponse:
    """Answer a conversation; the memory is asked what the last user message asks."""
    mode = _mode(body.model)
    memory = await current_memory(service, tenant)
    rows = _conversation(body, memory, mode, model)
    shape = ChatShape(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), body.model)
    events = observed(service, tenant, model.generate(rows), "messages")
    run = Run(body, events, len(rows))
    if body.stream:
        return await _streamed(request, run, shape)
    await answer(request, run.finish())
    return shape.reply(run.ends, run.tokens, run.usage())


@router.get("/models")
async def list_models() -> ModelsReply:
    """The two models."""
    return ModelsReply(data=[ModelOut(id=name, created=CREATED) for name in MODES])


@router.get("/models/{model}")
async def get_model(model: str) -> ModelOut:
    """One of the two models."""
    _mode(model)
    return ModelOut(id=model, created=CREATED)


@dataclass
class Run:
    """The rows of one request while they are generated, and what became of them."""

    body: OpenAiBody
    events: AsyncGenerator[Token | Generated, None]
    rows: int
    ends: dict[int, Generated] = field(default_factory=dict)
    tokens: dict[int, list[TokenLogprob]] = field(default_factory=dict)

    async def each(self) -> AsyncGenerator[Token | Generated, None]:
        async with aclosing(self.events):
            async for item in self.events:
                if isinstance(item, Generated):
                    self.ends[item.index] = item
                else:
                    self.tokens.setdefault(item.index, []).extend(item.logprobs)
                yield item

    async def finish(self) -> None:
        async with aclosing(self.each()) as items:
            async for _ in items:
                pass

    def usage(self) -> Usage:
        """A prompt counts once, however many choices it has."""
        n = self.body.n or 1
        prompts = sum(self.ends[i].prompt_tokens for i in range(0, self.rows, n))
        return usage(prompts, sum(end.completion_tokens for end in self.ends.values()))


async def _streamed(request: Request, run: Run, shape: Shape[Any]) -> StreamingResponse:
    def on_error(body: dict[str, Any]) -> bytes:
        return event(body)

    return await event_stream(request, _chunks(run, shape), on_error=on_error)


async def _chunks(run: Run, shape: Shape[Any]) -> AsyncGenerator[bytes, None]:
    async with aclosing(run.each()) as items:
        async for item in items:
            for chunk in shape.chunks(item):
                yield event(chunk.model_dump_json())
    if run.body.with_usage:
        yield event(shape.last(run.usage()).model_dump_json())
    yield event("[DONE]")


def _mode(model: str) -> MemoryMode:
    if model not in MODES:
        raise ModelNotFound(param="model")
    return MODES[model]


def _conversation(
    body: ChatRequest, memory: TenantMemory, mode: MemoryMode, model: Model
) -> list[GenerateItem]:
    messages = [
        {"role": "system" if m.role == "developer" else m.role, "content": m.content}
        for m in body.messages
    ]
    said = [m for m in body.messages if m.content]
    query = ([m for m in said if m.role == "user"] or said)[-1].content
    prompt = model.render_chat(messages)
    top = (body.top_logprobs or 0) if body.logprobs else None
    length = body.max_completion_tokens or CHAT_TOKENS
    return [
        GenerateItem(prompt, memory, mode, _sampling(body, i, length, top), query, raw=False)
        for i in range(body.n or 1)
    ]


def _sampling(body: OpenAiBody, choice: int, length: int, logprobs: int | None) -> Sampling:
    """Choices of one seeded request differ from each other and repeat together."""
    seed = None if body.seed is None else (body.seed + choice) % (1 << 63)
    return Sampling(
        max_new_tokens=body.max_tokens or length,
        temperature=body.temperature or 0.0,
        top_p=body.top_p or 1.0,
        stop=tuple(body.stop or ()),
        seed=seed,
        logprobs=logprobs,
    )
