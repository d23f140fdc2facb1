"""OpenAI's shapes, as far as they mean something here.

Unknown fields are ignored, as clients of that API expect; a field that would change the answer
and is not offered is refused. Every choice says in `larimar` whether the memory was used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from service.schemas import Prompts, PromptText, Reply, Stops, Usage

UNSUPPORTED = ("echo", "frequency_penalty", "functions", "logit_bias",
               "presence_penalty", "suffix", "tools")  # fmt: skip
MAX_CHOICES = 64
MAX_MESSAGES = 256


class OpenAiBody(BaseModel):
    """What both kinds of completion take. An explicit null means the default."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    model: str = "default"
    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    temperature: Annotated[
        float | None, Field(ge=0, le=2, description="Omitted, it is 0, not 1 as with OpenAI.")
    ] = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _offered(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name in UNSUPPORTED:
                if data.get(name):
                    raise ValueError(f"`{name}` is not offered")
            if (data.get("best_of") or 1) not in (1, data.get("n")):  # all of them are sent
                raise ValueError("`best_of` is not offered")
            if data.get("response_format") not in (None, {"type": "text"}):
                raise ValueError("only `response_format` text is offered")
        return data

    @property
    def with_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False


class CompletionRequest(OpenAiBody):
    prompt: Prompts
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> CompletionRequest:
        if len(self.prompt) * (self.n or 1) > MAX_CHOICES:
            raise ValueError(f"at most {MAX_CHOICES} choices a request")
        return self


def _joined(content: Any) -> Any:
    """Content in parts is the text of its parts."""
    if not isinstance(content, list):
        return content
    if not all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in content):
        raise ValueError("only parts of text are offered")
    return "".join(part["text"] for part in content)


def _content(content: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    """Of a system message, clients send an empty one where there is nothing to say."""
    text = _joined(content)
    if text == "" and info.data.get("role") in ("system", "developer"):
        return ""
    checked: str = check(text)
    return checked


def _asking(messages: list[Message]) -> list[Message]:
    if not any(message.content for message in messages):
        raise PydanticCustomError("blank_text", "must not all be blank")
    return messages


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[PromptText, WrapValidator(_content)]


class ChatRequest(OpenAiBody):
    messages: Annotated[
        list[Message], Field(min_length=1, max_length=MAX_MESSAGES), AfterValidator(_asking)
    ]
    max_completion_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class MemoryUse(Reply):
    """What the memory did for a choice."""

    in_scope: bool
    confidence: float
    fact_ids: list[str]


class CompletionLogprobs(Reply):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(Reply):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None
    larimar: MemoryUse | None = None


class CompletionReply(Reply):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    larimar: Annotated[MemoryUse | None, Field(description="Of the first choice.")] = None


class TopLogprob(Reply):
    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Reply):
    content: list[ChatTokenLogprob]


class ChatMessage(Reply):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(Reply):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: Literal["stop", "length"]
    larimar: MemoryUse | None = None


class ChatReply(Reply):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage | None = None
    larimar: Annotated[MemoryUse | None, Field(description="Of the first choice.")] = None


class ChatDelta(Reply):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatChunkChoice(Reply):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None
    larimar: MemoryUse | None = None


class ChatChunk(Reply):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None


class ModelOut(Reply):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["larimar"] = "larimar"


class ModelsReply(Reply):
    object: Literal["list"] = "list"
    data: list[ModelOut]
