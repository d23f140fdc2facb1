"""Server-sent events, from bytes as they arrive to what a caller sees.

It splits at LF and CRLF alone: a general line splitter would also break at U+2028, which JSON
may carry as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from larimar_client import errors
from larimar_client.errors import UnexpectedReply

T = TypeVar("T")
_LINE_END = re.compile(rb"\r?\n")


class EventReader(Generic[T]):
    """Turns a stream's bytes into items. `kinds` reads each event; `last` names the final one."""

    def __init__(self, last: str, kinds: dict[str, Callable[[Any], T]]) -> None:
        self._last, self._kinds = last, kinds
        self._rest = b""
        self._name, self._data = "", list[str]()
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[T]:
        """The items that are complete. Raises the ApiError that the stream reports."""
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        for line in lines:
            yield from self._line(line.decode())

    def finish(self) -> None:
        """Raises UnexpectedReply if the stream broke off."""
        if not self.ended:
            raise UnexpectedReply("the stream ended before its last event")

    def _line(self, line: str) -> Iterator[T]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif not line and self._data:
            event, data = self._name, "\n".join(self._data)
            self._name, self._data = "", []
            yield from self._event(event, data)

    def _event(self, name: str, data: str) -> Iterator[T]:
        if name == "error":
            # The status went out long ago; the code says what it would have been.
            raise errors.of(500, json.loads(data))
        if name in self._kinds:
            self.ended = self.ended or name == self._last
            yield self._kinds[name](json.loads(data))
