"""The engine: one thread owns the device, and every tenant's requests share its steps.

Calls from the event loop become jobs in a bounded queue. Between two decode steps the thread
serves what has gathered: facts to encode are one batch, queries to read are one kernel call,
prompts that may start are prefilled together. Tokens go back to the loop as they come.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import structlog
import torch

from memory_store.kernel import TenantView
from memory_store.store import MemorySpec, TenantMemory
from service.engine.decoding import DecodeBatch
from service.engine.live import Live, Stream
from service.engine.protocol import (
    Encoded,
    EngineStopped,
    FactText,
    FactTooLong,
    Generated,
    GenerateItem,
    Match,
    MemoryMode,
    NoChatTemplate,
    PromptTooLong,
    QueueFull,
    ReadResult,
    Scored,
    ScoreItem,
    Token,
    Workload,
)
from service.engine.scoring import score
from service.model.checkpoint import DEFAULT
from service.model.larimar import LarimarModel, Reading, fact_text

log = structlog.get_logger()
CHARACTERS_A_TOKEN = 32  # longer prompts are refused before they are tokenised


class EngineSettings(Protocol):
    """What of the service's settings concerns the engine."""

    checkpoint: Path | None
    decoder: str | None
    encoder: str | None
    device: str
    threads: int
    max_rows: int
    queue_size: int


@dataclass(eq=False)
class Job:
    """Work for the device thread; `size` items of it count against the queue's bound."""

    kind: str
    payload: Any
    done: Future[Any]
    size: int


class Larimar:
    """The real `Engine` (protocol.py)."""

    def __init__(self, model: LarimarModel, *, rows: int = 32, queue_size: int = 256) -> None:
        self.model = model
        self._batch = DecodeBatch(model.decoder, slots=rows)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._limit, self._pending = queue_size, 0
        self._waiting: deque[Live] = deque()
        self._live: list[Live] = []
        self._streams: set[Stream] = set()
        self._taken: list[Job] = []
        self._lock = threading.Lock()
        self._stopping = self._dead = False
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    @staticmethod
    def load(settings: EngineSettings) -> Larimar:
        """Raises CheckpointError or WeightsError."""
        if settings.threads:
            torch.set_num_threads(settings.threads)
        model = LarimarModel.load(
            settings.checkpoint or DEFAULT, settings.decoder, settings.encoder, settings.device
        )
        return Larimar(model, rows=settings.max_rows, queue_size=settings.queue_size)

    # --- what the routes call ---------------------------------------------------------------

    @property
    def spec(self) -> MemorySpec:
        return self.model.spec

    @property
    def model_id(self) -> str:
        return str(self.model.card["decoder"]["name"])

    @property
    def max_fact_tokens(self) -> int:
        return self.model.max_fact_tokens

    @property
    def alive(self) -> bool:
        return not self._dead

    @property
    def workload(self) -> Workload:
        return Workload(self._pending, len(self._live), len(self._waiting))

    async def encode(self, facts: Sequence[FactText]) -> list[Encoded]:
        return cast(list[Encoded], await self._call("encode", list(facts), len(facts)))

    async def too_long(self, texts: Sequence[str]) -> list[int]:
        return await asyncio.to_thread(self.model.too_long, texts)

    async def read(self, memory: TenantMemory, queries: Sequence[str]) -> list[ReadResult]:
        payload = [(query, memory) for query in queries]
        return cast(list[ReadResult], await self._call("read", payload, len(queries)))

    async def score(
        self, memory: TenantMemory | None, items: Sequence[ScoreItem], mode: MemoryMode
    ) -> list[Scored]:
        return cast(list[Scored], await self._call("score", (memory, items, mode), len(items)))

    async def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        stream = Stream(items, asyncio.get_running_loop())
        try:
            await self._call("generate", stream, len(items))
            left = len(items)
            while left:
                event = await stream.events.get()
                if isinstance(event, Exception):
                    raise event
                left -= isinstance(event, Generated)
                yield event
        finally:
            stream.cancelled = True

    def render_chat(self, messages: Sequence[dict[str, str]]) -> str:
        if not self.model.decoder.tokenizer.chat_template:
            raise NoChatTemplate("the model has no chat template: use completions")
        return self.model.decoder.chat(messages)

    async def start(self) -> None:
        if not self._thread.is_alive():
            self._thread.start()
        await self.encode([FactText(prompt="The service is", target="warm")])
        async for _ in self.generate([GenerateItem("Warm up", None, "never")]):
            pass

    async def close(self) -> None:
        self._stopping = True
        self._jobs.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def _call(self, kind: str, payload: Any, size: int) -> Any:
        job = Job(kind, payload, Future(), size)
        with self._lock:
            if self._dead or self._stopping:
                raise EngineStopped("the engine has stopped")
            if self._pending and self._pending + size > self._limit:
                raise QueueFull()
            self._pending += size
        self._jobs.put(job)
        return await asyncio.wrap_future(job.done)

    # --- the device thread ------------------------------------------------------------------

    def _run(self) -> None:
        error: Exception = EngineStopped("the engine has stopped")
        try:
            while not self._stopping:
                self._serve(self._gather())
                self._admit()
                if self._live:
                    self._advance(self._batch.step())
        except Exception as failure:
            log.error("the device thread failed", exc_info=failure)
            error = EngineStopped("the engine has failed")
        finally:
            with self._lock:
                self._dead = True
            self._fail_all(error)

    def _gather(self) -> list[Job]:
        """What has arrived; waits for something if no row is decoding."""
        jobs: list[Job] = []
        idle = not self._live and not self._waiting
        try:
            while True:
                job = self._jobs.get(block=idle and not jobs)
                if job is None:
                    break
                if job.done.set_running_or_notify_cancel():  # from here on it cannot be cancelled
                    jobs.append(job)
                else:
                    self._release(job.size)
        except queue.Empty:
            pass
        self._taken = jobs
        return jobs

    def _serve(self, jobs: list[Job]) -> None:
        """Calls of one kind are one batch. A job's own error is its own; others go on."""
        serve: dict[str, Callable[[list[Job]], None]] = {
            "encode": self._encode, "read": self._read, "score": self._score,
            "generate": self._condition,
        }  # fmt: skip
        for kind, method in serve.items():
            if mine := [job for job in jobs if job.kind == kind]:
                method(mine)
        for job in jobs:
            if job.kind != "generate" or job.done.exception() is not None:
                self._release(job.size)
        self._taken = []

    def _release(self, size: int) -> None:
        with self._lock:
            self._pending -= size

    def _encode(self, jobs: list[Job]) -> None:
        good: list[tuple[Job, list[str], list[str]]] = []
        for job in jobs:
            texts = [fact_text(f.prompt, f.target, f.text) for f in job.payload]
            if long := self.model.too_long(texts):
                job.done.set_exception(FactTooLong(long, self.max_fact_tokens))
            else:
                cues = [f.text if f.prompt is None else f.prompt for f in job.payload]
                good.append((job, cues, texts))
        cues = [cue for _, part, _ in good for cue in part]
        addresses = self.model.address.encode(cues).numpy()
        latents = self.model.latents([text for _, _, part in good for text in part]).numpy()
        rows = iter([Encoded(*row) for row in zip(cues, addresses, latents, strict=True)])
        for job, part, _ in good:
            job.done.set_result([next(rows) for _ in part])

    def _read(self, jobs: list[Job]) -> None:
        jobs = [job for job in jobs if self._short(job, [query for query, _ in job.payload])]
        pairs = [pair for job in jobs for pair in job.payload]
        views = [cast(TenantView, memory) for _, memory in pairs]
        found = iter(self.model.read([query for query, _ in pairs], views, [False] * len(pairs)))
        for job in jobs:
            job.done.set_result([_result(next(found)) for _ in job.payload])

    def _short(self, job: Job, prompts: Sequence[str], new: int = 0) -> bool:
        """False, and the job is refused, if a prompt cannot fit the decoder's context."""
        context = self.model.decoder.context
        room = context - self.max_fact_tokens - 2 - new
        for i, prompt in enumerate(prompts):
            guess = len(prompt) // CHARACTERS_A_TOKEN
            tokens = guess if guess > context else len(self.model.decoder.encode(prompt))
            if tokens > room:
                job.done.set_exception(PromptTooLong(i, tokens + new, room + new))
                return False
        return True

    def _score(self, jobs: list[Job]) -> None:
        for job in jobs:
            memory, items, mode = job.payload
            prompts = [item.prompt for item in items]
            longest = max((len(t) for item in items for t in item.targets), default=0)
            if self._short(job, prompts, longest):
                readings = self._readings([(p, memory, mode) for p in prompts])
                job.done.set_result(score(self.model.decoder, items, readings))

    def _condition(self, jobs: list[Job]) -> None:
        """Reads memory for every row of the calls, once, and puts the rows in the queue."""
        good = []
        for job in jobs:
            items = job.payload.items
            new = max(item.sampling.max_new_tokens for item in items)
            if self._short(job, [item.prompt for item in items], new):
                good.append(job)
        asked = [(item.query if item.query is not None else item.prompt, item.memory, item.mode)
                 for job in good for item in job.payload.items]  # fmt: skip
        readings = iter(self._readings(asked))
        for job in good:
            stream: Stream = job.payload
            self._streams.add(stream)
            for index in range(len(stream.items)):
                self._waiting.append(Live(stream, index, next(readings), self.model.decoder))
            job.done.set_result(None)

    def _readings(
        self, asked: Sequence[tuple[str, TenantMemory | None, MemoryMode]]
    ) -> list[Reading]:
        readings = [Reading() for _ in asked]
        used = [(i, q, m, mode) for i, (q, m, mode) in enumerate(asked)
                if m is not None and mode != "never"]  # fmt: skip
        found = self.model.read([q for _, q, _, _ in used],
                                [cast(TenantView, m) for _, _, m, _ in used],
                                [mode == "always" for *_, mode in used])  # fmt: skip
        for (i, *_), reading in zip(used, found, strict=True):
            readings[i] = reading
        return readings

    def _admit(self) -> None:
        """Lets waiting rows join while there is room; the oldest first."""
        while self._waiting:
            live = self._waiting[0]
            if not live.stream.cancelled:
                if not self._batch.room(live.row):
                    break
                self._batch.join(live.row)
                self._live.append(live)
            else:
                self._end(live)
            self._waiting.popleft()

    def _advance(self, stepped: Sequence[object]) -> None:
        """Hands the new tokens on; rows that are finished or cancelled leave."""
        rows = set(map(id, stepped))
        for live in list(self._live):
            if live.stream.cancelled or (id(live.row) in rows and live.advance()):
                self._batch.leave(live.row)
                self._live.remove(live)
                self._end(live)

    def _end(self, live: Live) -> None:
        self._release(1)
        live.stream.left -= 1
        if not live.stream.left:
            self._streams.discard(live.stream)

    def _fail_all(self, error: Exception) -> None:
        """Nobody waits for a dead engine."""
        for stream in self._streams:
            stream.put(error)
        jobs = list(self._taken)
        while not self._jobs.empty():
            if (job := self._jobs.get()) is not None:
                jobs.append(job)
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(error)


def _result(reading: Reading) -> ReadResult:
    matches = tuple(Match(i, w) for i, w in zip(reading.ids, reading.weights, strict=True))
    return ReadResult(reading.in_scope, reading.confidence, reading.text, matches)
