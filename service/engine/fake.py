"""An engine whose every answer a test can compute by hand, in microseconds.

The latent literally carries the fact's bytes, eight signs a byte, and every answer is decoded
from the latent that the memory read out: a wrong readout is a wrong answer. Addresses are sums
of one pseudo-random vector a word, so that wordings which share words lie near each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence

import numpy as np

from memory_store.store import Float32, MemorySpec, Readout, TenantMemory
from service.engine.protocol import (
    Encoded,
    EngineStopped,
    FactText,
    FactTooLong,
    Generated,
    GenerateItem,
    Match,
    MemoryMode,
    Nobody,
    PromptTooLong,
    QueueFull,
    ReadResult,
    Scored,
    ScoreItem,
    TargetScore,
    Token,
    TokenLogprob,
    Watcher,
    Workload,
)

ADDRESS = 256  # d
BYTES = 128  # T: a token of this engine's facts is a byte
LATENT = 8 * BYTES  # C
SEPARATOR = "\x1f"  # between prompt and target inside a latent
IN_SCOPE = 0.9  # cosine from which a query asks for a stored fact
SUPPRESSION_IN_SCOPE = 0.8
NOTHING = ReadResult(False, 0.0, "", ())
CONTEXT = 1024  # words of prompt and answer together


def address(text: str, turn: int = 0) -> Float32:
    """(d,) unit sum of the words' vectors; case and punctuation do not count."""
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split() or [text]
    total = np.zeros(ADDRESS, np.float64)
    for word in words:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(ADDRESS)
    return np.roll(total / np.linalg.norm(total), turn).astype(np.float32)


def pack(text: str, turn: int = 0) -> Float32:
    """(C,) the text's bytes as signs; what follows the end is all -1, the byte 0."""
    data = np.frombuffer(text.encode().ljust(BYTES, b"\0"), np.uint8)
    return np.roll(np.unpackbits(data).astype(np.float32) * 2 - 1, turn)


def unpack(latent: Float32, turn: int = 0) -> str:
    """The text that a latent (C,) carries: right while noise is below half of a sign."""
    data = np.packbits(np.roll(latent, -turn) > 0).tobytes()
    return data.split(b"\0")[0].decode(errors="replace")


def base_answer(prompt: str) -> str:
    """What the model says by itself: four words that depend on the prompt alone."""
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    return " base " + " ".join(digest[i : i + 4] for i in (0, 4, 8))


class FakeEngine:
    """An `Engine` without a model. `rows` bounds its queue; `delay` is its time a token.

    Engines of another `checkpoint` turn all vectors: they cannot read each other's rows.
    """

    def __init__(self, *, rows: int = 256, delay: float = 0.0, checkpoint: int = 1) -> None:
        self._rows, self._delay, self._running = rows, delay, 0
        self._checkpoint, self._turn = checkpoint, 97 * (checkpoint - 1)
        self._alive = True
        self.bytes = BYTES  # of a fact, at most
        self._watcher: Watcher = Nobody()

    @property
    def spec(self) -> MemorySpec:
        return MemorySpec(ADDRESS, LATENT, f"fake-{self._checkpoint}")

    @property
    def model_id(self) -> str:
        return "fake"

    @property
    def max_fact_tokens(self) -> int:
        return self.bytes

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def running(self) -> int:
        """Rows in progress."""
        return self._running

    @property
    def workload(self) -> Workload:
        return Workload(pending=self._running, decoding=self._running, waiting=0)

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def encode(self, facts: Sequence[FactText], tenant: str = "") -> list[Encoded]:
        texts = [fact.text or f"{fact.prompt}{SEPARATOR}{fact.target}" for fact in facts]
        long = await self.too_long(texts)
        if long:
            raise FactTooLong(long, self.bytes)
        cues = [fact.prompt or fact.text or "" for fact in facts]
        return [
            Encoded(cue, address(cue, self._turn), pack(text, self._turn))
            for cue, text in zip(cues, texts, strict=True)
        ]

    async def too_long(self, texts: Sequence[str]) -> list[int]:
        return [i for i, text in enumerate(texts) if len(text.encode()) > self.bytes]

    async def read(self, memory: TenantMemory, queries: Sequence[str]) -> list[ReadResult]:
        for i, query in enumerate(queries):
            _check_length(i, query, 0)
        readout = memory.read(np.stack([address(query, self._turn) for query in queries]))
        return [_read(readout, row, self._turn)[0] for row in range(len(queries))]

    async def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        self._check()
        for i, item in enumerate(items):
            _check_length(i, item.prompt, item.sampling.max_new_tokens)
        if self._running + len(items) > self._rows:
            raise QueueFull()
        self._running += len(items)
        self._watcher.waited("generate", 0.0)
        self._watcher.batched("generate", len(items))
        try:
            for index, item in enumerate(items):
                async for event in self._row(index, item):
                    yield event
        finally:
            self._running -= len(items)

    async def _row(self, index: int, item: GenerateItem) -> AsyncIterator[Token | Generated]:
        found, said = _gate(item.memory, item.query or item.prompt, item.mode, self._turn)
        answer = said or base_answer(item.prompt)
        if item.sampling.temperature > 0:
            answer += f" {random.Random(item.sampling.seed).randrange(1000)}"
        words, stopped = _limited(answer, item)
        for word in words:
            await asyncio.sleep(self._delay)
            self._check()
            yield Token(index, word, _logprobs(word, item.sampling.logprobs))
        yield Generated(
            index=index,
            text="".join(words),
            in_scope=found.in_scope,
            confidence=found.confidence,
            fact_ids=tuple(m.id for m in found.matches[:1]) if said else (),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=len(item.prompt.split()),
            completion_tokens=len(words),
        )

    async def score(
        self, memory: TenantMemory | None, items: Sequence[ScoreItem], mode: MemoryMode
    ) -> list[Scored]:
        """A token, here a word, costs .1 where it is the answer's, else 5."""
        self._check()
        scored = []
        for i, item in enumerate(items):
            _check_length(i, item.prompt, 0)
            found, said = _gate(memory, item.prompt, mode, self._turn)
            answer = (said or base_answer(item.prompt)).split()
            targets = tuple(_score(target, answer) for target in item.targets)
            scored.append(Scored(found.in_scope, targets))
        return scored

    def render_chat(self, messages: Sequence[dict[str, str]]) -> str:
        return "".join(f"<{m['role']}>{m['content']}\n" for m in messages) + "<assistant>"

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        self._alive = False

    def kill(self) -> None:
        """Die as the real engine's thread might."""
        self._alive = False

    def _check(self) -> None:
        if not self._alive:
            raise EngineStopped()


def _gate(
    memory: TenantMemory | None, query: str, mode: MemoryMode, turn: int
) -> tuple[ReadResult, str]:
    """What was found, and what the memory makes the answer: "" leaves it to the base."""
    if memory is None or mode == "never":
        return NOTHING, ""
    found, said = _read(memory.read(address(query, turn)[None]), 0, turn)
    return found, said if found.in_scope or mode == "always" else ""


def _read(readout: Readout, row: int, turn: int) -> tuple[ReadResult, str]:
    """One query's result, and the answer that its latent carries: the target, or the text."""
    cosine = float(readout.cosines[row][0]) if len(readout.cosines[row]) else 0.0
    carried = unpack(readout.clean[row], turn)
    matches = tuple(
        Match(id, float(weight), float(similarity))
        for id, weight, similarity in zip(
            readout.ids[row], readout.weights[row], readout.cosines[row], strict=True
        )
    )
    in_scope = cosine >= (SUPPRESSION_IN_SCOPE if readout.suppressed[row] else IN_SCOPE)
    text = carried.replace(SEPARATOR, " ")
    result = ReadResult(in_scope, min(max(cosine, 0.0), 1.0), text, matches)
    return result, carried.rpartition(SEPARATOR)[2]


def _limited(answer: str, item: GenerateItem) -> tuple[list[str], bool]:
    """The answer's words up to a stop string or the limit, and whether it ended by itself."""
    ends = [at for stop in item.sampling.stop if (at := answer.find(stop)) >= 0]
    text = answer[: min(ends)] if ends else answer
    words = [f" {word}" for word in text.split()]
    limit = item.sampling.max_new_tokens
    return words[:limit], len(words) <= limit


def _logprobs(word: str, top: int | None) -> tuple[TokenLogprob, ...]:
    if top is None:
        return ()
    return (TokenLogprob(word, -0.1, ((word, -0.1), (" other", -5.0))[:top]),)


def _score(target: str, answer: Sequence[str]) -> TargetScore:
    words = target.split()
    costs = tuple(-0.1 if i < len(answer) and answer[i] == w else -5.0 for i, w in enumerate(words))
    return TargetScore(target, sum(costs), tuple(f" {word}" for word in words), costs)


def _check_length(index: int, prompt: str, new: int) -> None:
    words = len(prompt.split()) + new
    if words > CONTEXT:
        raise PromptTooLong(index, words, CONTEXT)
