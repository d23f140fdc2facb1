"""A row on its way: between the call that asked for it and the batch that decodes it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from typing import Literal

from service.engine.decoding import Row
from service.engine.intake import Job
from service.engine.protocol import SUPPRESSED, Generated, GenerateItem, Token, TokenLogprob
from service.engine.text import Detokenizer, StopStrings
from service.model.decoder import Decoder
from service.model.larimar import Reading, fact_text

READ_WEIGHT = 0.05  # a row with less of the weight did not take part in the answer


class Stream:
    """One call's events, from the device thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.events: asyncio.Queue[Token | Generated | Exception] = asyncio.Queue()
        self._loop = loop

    def put(self, event: Token | Generated | Exception) -> None:
        """From the device thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.events.put_nowait, event)


class Live:
    """One row of a call with its text so far."""

    def __init__(self, job: Job, index: int, reading: Reading, decoder: Decoder) -> None:
        item: GenerateItem = job.items[index]
        self.job, self.index, self.reading = job, index, reading
        self.stream: Stream = job.extra
        self._decoder = decoder
        prompt = decoder.encode(item.prompt, template=not item.raw) or [decoder.begin]
        if reading.in_scope:
            prompt = decoder.conditioned(reading.tokens, prompt)
        sampling, opening = item.sampling, list[int]()
        if reading.in_scope and reading.suppressed:
            # what must not be said is left neither to chance nor to how well an adapter listens
            sampling = dataclasses.replace(sampling, temperature=0.0)
            opening = decoder.encode(fact_text(item.prompt, SUPPRESSED, None)[len(item.prompt) :])
        self.row = Row(prompt, reading.in_scope, sampling, sampling.max_new_tokens, opening)
        self._tokens = Detokenizer(decoder.decode)
        self._stops = StopStrings(item.sampling.stop)
        self._text: list[str] = []
        self._decoded = self._shown = 0  # characters
        self._unsent: deque[tuple[int, int, TokenLogprob]] = deque()  # with its text's ends
        self._told = 0  # tokens of the row that were looked at

    def advance(self) -> Generated | None:
        """Hands on a new token's text, if there is one; the end, if the row is finished."""
        if self._told == len(self.row.generated):
            return None
        self._told += 1
        token = self.row.generated[-1]
        ended = token in self._decoder.ends
        last = ended or self._told >= self.row.limit
        piece = "" if ended else self._tokens.add(token)
        if last:
            piece += self._tokens.flush()
        begin, self._decoded = self._decoded, self._decoded + len(piece)
        if self.row.logprobs:
            self._unsent.append((begin, self._decoded, self._logprob(token)))
        shown = self._stops.add(piece, last=last)
        self._put(shown, last=last and not self._stops.hit)
        if last or self._stops.hit:
            return self._end("stop" if ended or self._stops.hit else "length")
        return None

    def _put(self, shown: str, *, last: bool) -> None:
        """A token's log-probability goes out once its text has, so that neither shows a stop
        string; a token that reaches into one is not told."""
        self._text.append(shown)
        self._shown += len(shown)
        logprobs = []
        while self._unsent and (last or self._unsent[0][0] < self._shown >= self._unsent[0][1]):
            logprobs.append(self._unsent.popleft()[2])
        if shown or logprobs:
            self.stream.put(Token(self.index, shown, tuple(logprobs)))

    def _logprob(self, token: int) -> TokenLogprob:
        logprob, top = self.row.logprobs[-1]
        name = self._decoder.decode
        alternatives = tuple((name([other]), value) for other, value in top)
        return TokenLogprob(name([token]), logprob, alternatives)

    def _end(self, reason: Literal["stop", "length"]) -> Generated:
        reading = self.reading
        ids = tuple(i for i, w in zip(reading.ids, reading.weights, strict=True) if w > READ_WEIGHT)
        return Generated(
            index=self.index,
            text="".join(self._text),
            in_scope=reading.in_scope,
            confidence=reading.confidence,
            fact_ids=ids if reading.in_scope else (),
            finish_reason=reason,
            prompt_tokens=len(self.row.prompt),
            completion_tokens=len(self.row.generated),
        )
