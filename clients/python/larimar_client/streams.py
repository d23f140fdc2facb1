"""Calls whose reply comes piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, TypeVar

from larimar_client import calls
from larimar_client.calls import Call
from larimar_client.models import GenerateReply, Token, decode
from larimar_client.sse import EventReader

P = ParamSpec("P")
T = TypeVar("T")
_ACCEPT = {"Accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[T]):
    """A call, and how to read the events of its reply."""

    call: Call[Any]
    last: str
    kinds: dict[str, Callable[[Any], T]]

    def reader(self) -> EventReader[T]:
        return EventReader(self.last, self.kinds)


def _streamed(
    build: Callable[P, Call[GenerateReply]],
) -> Callable[P, StreamCall[Token | GenerateReply]]:
    @wraps(build)
    def streamed(*args: P.args, **kwargs: P.kwargs) -> StreamCall[Token | GenerateReply]:
        call = build(*args, **kwargs)
        kinds: dict[str, Callable[[Any], Token | GenerateReply]] = {
            "token": partial(decode, Token),
            "done": partial(decode, GenerateReply),
        }
        call = replace(call, body={**call.body, "stream": True}, headers=_ACCEPT)
        return StreamCall(call, "done", kinds)

    streamed.__doc__ = "Tokens as they are generated, then the whole GenerateReply."
    return streamed


generate = _streamed(calls.generate)
