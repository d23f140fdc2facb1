"""Calls whose reply comes piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, TypeVar

from larimar_client import calls
from larimar_client.calls import Call
from larimar_client.models import GenerateReply, Progress, Token, decode
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
    build: Callable[P, Call[Any]],
    doc: str,
    body: dict[str, Any],
    **kinds: Callable[[Any], T],
) -> Callable[P, StreamCall[T]]:
    """`build` with its reply as events, of which the last is `done`."""

    @wraps(build)
    def streamed(*args: P.args, **kwargs: P.kwargs) -> StreamCall[T]:
        call = build(*args, **kwargs)
        call = replace(call, body=call.body | body, headers={**call.headers, **_ACCEPT})
        return StreamCall(call, "done", kinds)

    streamed.__doc__ = doc
    return streamed


def _token(data: Any) -> Token | GenerateReply:
    return decode(Token, data)


def _reply(data: Any) -> Token | GenerateReply:
    return decode(GenerateReply, data)


_progress = partial(decode, Progress)

generate = _streamed(
    calls.generate,
    "Tokens as they are generated, then the whole GenerateReply.",
    {"stream": True},
    token=_token,
    done=_reply,
)
add_document = _streamed(
    calls.add_document,
    "Store a long text; Progress after every batch, the last one `complete`.",
    {},
    progress=_progress,
    done=_progress,
)
