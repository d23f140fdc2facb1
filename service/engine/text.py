"""Token ids → text, as it may be shown while it grows.

Text is cut at valid UTF-8 boundaries, and what could be the beginning of a stop string is held
back until it cannot be any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

HELD = "�"  # what an incomplete UTF-8 sequence decodes to


class Detokenizer:
    """Incremental: decodes a short window, so that the cost of a token does not grow."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = self._shown = 0  # window start; ids whose text has been shown

    def add(self, token: int) -> str:
        """The text that this token completes; "" while a character is incomplete."""
        self._ids.append(token)
        before = self._decode(self._ids[self._start : self._shown])
        now = self._decode(self._ids[self._start :])
        if now.endswith(HELD):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        return now[len(before) :]

    def flush(self) -> str:
        """What is left at the end, replacement characters and all."""
        before = self._decode(self._ids[self._start : self._shown])
        return self._decode(self._ids[self._start :])[len(before) :]


class StopStrings:
    """Passes text on up to the stop string that is complete first, however the text is cut."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = [s for s in stops if s]
        self._held = ""
        self.hit = False

    def add(self, piece: str, *, last: bool = False) -> str:
        """What may be shown now. After a hit, nothing is."""
        if self.hit:
            return ""
        text = self._held + piece
        found = [(i + len(s), i) for s in self.stops if (i := text.find(s)) >= 0]
        if found:
            self.hit, self._held = True, ""
            return text[: min(found)[1]]
        keep = 0 if last else max((_overlap(text, s) for s in self.stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
