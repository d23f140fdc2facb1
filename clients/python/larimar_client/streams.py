"""Calls whose reply comes piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from larimar_client import calls
from larimar_client.calls import Call
from larimar_client.models import GenerateReply, Progress, Reencoded, Token, decode
from larimar_client.sse import EventReader

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_ACCEPT = {"Accept": "text/event-stream"}


class Reader(Protocol[T_co]):
    """Turns a reply's bytes into items."""

    def feed(self, chunk: bytes) -> Iterator[T_co]: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[T]):
    """A call, and what reads its reply."""

    call: Call[Any]
    reader: Callable[[], Reader[T]]


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
        return StreamCall(call, lambda: EventReader("done", kinds))

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
_reencoded = partial(decode, Reencoded)
reencode = _streamed(
    calls.reencode,
    "Encode all facts anew; Reencoded after every batch, the last one not `running`.",
    {},
    progress=_reencoded,
    done=_reencoded,
)


class _Pieces:
    """The bytes as they come; HTTP itself notices if some are missing."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        """Nothing is left over."""


def snapshot(tenant: str) -> StreamCall[bytes]:
    """Everything the tenant holds, as the pieces of one safetensors file."""
    call = Call("GET", calls.tenant_path(tenant, "/snapshot"), calls.nothing)
    return StreamCall(call, _Pieces)
