"""The engine's events in the shapes of OpenAI's two kinds of completion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel

from service.engine.protocol import Generated, Token, TokenLogprob
from service.openai_schemas import (
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatDelta,
    ChatLogprobs,
    ChatMessage,
    ChatReply,
    ChatTokenLogprob,
    CompletionChoice,
    CompletionLogprobs,
    CompletionReply,
    MemoryUse,
    TopLogprob,
)
from service.schemas import Usage

R = TypeVar("R", bound=BaseModel, covariant=True)
Ends = Mapping[int, Generated]
Tokens = Mapping[int, Sequence[TokenLogprob]]


class Shape(ABC, Generic[R]):
    """One reply of one request: whole, or chunk by chunk."""

    def __init__(self, id: str, created: int, model: str) -> None:
        self.id, self.created, self.model = id, created, model

    @abstractmethod
    def reply(self, ends: Ends, tokens: Tokens, usage: Usage) -> R:
        """The whole reply; `tokens` holds what logprobs were asked for."""

    @abstractmethod
    def chunks(self, item: Token | Generated) -> list[BaseModel]:
        """What a stream sends for one event."""

    @abstractmethod
    def last(self, usage: Usage) -> BaseModel:
        """The chunk that only tells the usage."""


def memory_use(end: Generated) -> MemoryUse:
    return MemoryUse(in_scope=end.in_scope, confidence=end.confidence, fact_ids=list(end.fact_ids))


class CompletionShape(Shape[CompletionReply]):
    """`text_completion`, of which a chunk has the same shape."""

    def __init__(self, id: str, created: int, model: str) -> None:
        super().__init__(id, created, model)
        self._offsets: dict[int, int] = {}

    def reply(self, ends: Ends, tokens: Tokens, usage: Usage) -> CompletionReply:
        choices = [
            CompletionChoice(
                index=index,
                text=end.text,
                logprobs=self._logprobs(index, tokens.get(index, ())),
                finish_reason=end.finish_reason,
                larimar=memory_use(end),
            )
            for index, end in sorted(ends.items())
        ]
        return self._reply(choices, usage, choices[0].larimar)

    def chunks(self, item: Token | Generated) -> list[BaseModel]:
        if isinstance(item, Generated):
            use = memory_use(item)
            choice = CompletionChoice(
                index=item.index, text="", finish_reason=item.finish_reason, larimar=use
            )
            return [self._reply([choice], larimar=use)]
        logprobs = self._logprobs(item.index, item.logprobs)
        choice = CompletionChoice(
            index=item.index, text=item.text, logprobs=logprobs, finish_reason=None
        )
        return [self._reply([choice])]

    def last(self, usage: Usage) -> CompletionReply:
        return self._reply([], usage)

    def _reply(
        self,
        choices: list[CompletionChoice],
        usage: Usage | None = None,
        larimar: MemoryUse | None = None,
    ) -> CompletionReply:
        return CompletionReply(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=choices,
            usage=usage,
            larimar=larimar,
        )

    def _logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> CompletionLogprobs | None:
        if not tokens:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._offsets.get(index, 0))
            self._offsets[index] = offsets[-1] + len(token.token)
        return CompletionLogprobs(
            tokens=[token.token for token in tokens],
            token_logprobs=[token.logprob for token in tokens],
            top_logprobs=[dict(token.top) for token in tokens],
            text_offset=offsets,
        )


class ChatShape(Shape[ChatReply]):
    """`chat.completion`, and its chunks, of which a choice's first names the role."""

    def __init__(self, id: str, created: int, model: str) -> None:
        super().__init__(id, created, model)
        self._begun: set[int] = set()

    def reply(self, ends: Ends, tokens: Tokens, usage: Usage) -> ChatReply:
        choices = [
            ChatChoice(
                index=index,
                message=ChatMessage(content=end.text),
                logprobs=_chat_logprobs(tokens.get(index, ())),
                finish_reason=end.finish_reason,
                larimar=memory_use(end),
            )
            for index, end in sorted(ends.items())
        ]
        return ChatReply(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=choices,
            usage=usage,
            larimar=choices[0].larimar,
        )

    def chunks(self, item: Token | Generated) -> list[BaseModel]:
        found: list[BaseModel] = []
        if item.index not in self._begun:
            self._begun.add(item.index)
            role = ChatDelta(role="assistant", content="")
            found.append(self._chunk(ChatChunkChoice(index=item.index, delta=role)))
        if isinstance(item, Generated):
            choice = ChatChunkChoice(
                index=item.index,
                delta=ChatDelta(),
                finish_reason=item.finish_reason,
                larimar=memory_use(item),
            )
        else:
            choice = ChatChunkChoice(
                index=item.index,
                delta=ChatDelta(content=item.text),
                logprobs=_chat_logprobs(item.logprobs),
            )
        return [*found, self._chunk(choice)]

    def last(self, usage: Usage) -> ChatChunk:
        return ChatChunk(
            id=self.id, created=self.created, model=self.model, choices=[], usage=usage
        )

    def _chunk(self, choice: ChatChunkChoice) -> ChatChunk:
        return ChatChunk(id=self.id, created=self.created, model=self.model, choices=[choice])


def _chat_logprobs(tokens: Sequence[TokenLogprob]) -> ChatLogprobs | None:
    if not tokens:
        return None
    return ChatLogprobs(
        content=[
            ChatTokenLogprob(
                token=token.token,
                logprob=token.logprob,
                bytes=list(token.token.encode()),
                top_logprobs=[
                    TopLogprob(token=text, logprob=value, bytes=list(text.encode()))
                    for text, value in token.top
                ],
            )
            for token in tokens
        ]
    )
