"""A row on its way: between the call that asked for it and the batch that decodes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from service.engine.decoding import Row
from service.engine.protocol import Generated, GenerateItem, Token, TokenLogprob
from service.engine.text import Detokenizer, StopStrings
from service.model.decoder import Decoder
from service.model.larimar import Reading

READ_WEIGHT = 0.05  # a row with less of the weight did not take part in the answer


class Stream:
    """One call's events, from the device thread to the event loop."""

    def __init__(self, items: Sequence[GenerateItem], loop: asyncio.AbstractEventLoop) -> None:
        self.items, self.left = items, len(items)
        self.events: asyncio.Queue[Token | Generated | Exception] = asyncio.Queue()
        self.cancelled = False  # set by the loop, read by the thread
        self._loop = loop

    def put(self, event: Token | Generated | Exception) -> None:
        """From the device thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.events.put_nowait, event)


class Live:
    """One row with its text so far."""

    def __init__(self, stream: Stream, index: int, reading: Reading, decoder: Decoder) -> None:
        item = stream.items[index]
        self.stream, self.index, self.reading = stream, index, reading
        self._decoder = decoder
        prompt = decoder.encode(item.prompt, template=not item.raw) or [decoder.begin]
        if reading.in_scope:
            prompt = decoder.conditioned(reading.tokens, prompt)
        self.row = Row(prompt, reading.in_scope, item.sampling, item.sampling.max_new_tokens)
        self._tokens = Detokenizer(decoder.decode)
        self._stops = StopStrings(item.sampling.stop)
        self._text: list[str] = []

    def advance(self) -> bool:
        """Hands on the newest token's text; True if the row is finished."""
        token = self.row.generated[-1]
        ended = token in self._decoder.ends
        last = ended or len(self.row.generated) >= self.row.limit
        piece = "" if ended else self._tokens.add(token)
        if last:
            piece += self._tokens.flush()
        shown = self._stops.add(piece, last=last)
        self._text.append(shown)
        self._put_token(shown)
        if last or self._stops.hit:
            self._finish("stop" if ended or self._stops.hit else "length")
            return True
        return False

    def _put_token(self, shown: str) -> None:
        logprobs = self._logprobs() if self.row.logprobs else ()
        if shown or logprobs:
            self.stream.put(Token(self.index, shown, logprobs))

    def _logprobs(self) -> tuple[TokenLogprob, ...]:
        logprob, top = self.row.logprobs[-1]
        name = self._decoder.decode
        alternatives = tuple((name([token]), value) for token, value in top)
        return (TokenLogprob(name([self.row.generated[-1]]), logprob, alternatives),)

    def _finish(self, reason: Literal["stop", "length"]) -> None:
        reading = self.reading
        ids = tuple(i for i, w in zip(reading.ids, reading.weights, strict=True) if w > READ_WEIGHT)
        self.stream.put(
            Generated(
                index=self.index,
                text="".join(self._text),
                in_scope=reading.in_scope,
                confidence=reading.confidence,
                fact_ids=ids if reading.in_scope else (),
                finish_reason=reason,
                prompt_tokens=len(self.row.prompt),
                completion_tokens=len(self.row.generated),
            )
        )
