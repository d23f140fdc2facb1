"""The engine: one thread owns the device, and every tenant's requests share its steps.

Calls from the event loop become jobs in a bounded queue (intake.py). A turn of the thread takes
what has arrived, works on one batch of each kind (duty.py: encoding, reading, scoring), lets
waiting rows join while there is room, whose turn it is (fair.py), and adds a token to every row
that decodes (decoding.py). Tokens go back to the loop as they come.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import structlog
import torch

from memory_store.kernel import TenantView
from memory_store.store import MemorySpec, TenantMemory
from service.engine.decoding import DecodeBatch
from service.engine.device import check_device
from service.engine.duty import Duty
from service.engine.fair import FairQueue
from service.engine.intake import Intake, Job
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
    Nobody,
    NoChatTemplate,
    OutOfMemory,
    PromptTooLong,
    ReadResult,
    Scored,
    ScoreItem,
    Token,
    Watcher,
    Workload,
)
from service.engine.scoring import score, score_in_steps
from service.engine.warmup import warm_up
from service.model.checkpoint import DEFAULT
from service.model.larimar import LarimarModel, Reading, fact_text

log = structlog.get_logger()
CHARACTERS_A_TOKEN = 32  # longer prompts are refused before they are tokenised
BUDGET = {"cpu": 512, "cuda": 16_384}  # tokens of a batch to encode, read or score
Asked = tuple[str, TenantMemory, bool]  # query, memory, read it whatever the gate says?


class EngineSettings(Protocol):
    """What of the service's settings concerns the engine."""

    checkpoint: Path | None
    decoder: str | None
    encoder: str | None
    device: str
    threads: int
    max_rows: int
    queue_size: int

    @property
    def dtype(self) -> str: ...


class Larimar:
    """The real `Engine` (protocol.py)."""

    def __init__(self, model: LarimarModel, *, rows: int = 32, queue_size: int = 512) -> None:
        self.model = model
        budget = self._budget = BUDGET[model.decoder.device.type]
        self._batch = DecodeBatch(model.decoder, slots=rows)
        self._encoding = Duty(self._encode, budget)
        self._reading = Duty(self._read, budget)
        self._scoring = Duty(self._score, budget, self._score_in_steps)
        self._intake = Intake(queue_size)
        self._open: set[Job] = set()  # taken, and neither answered nor made into rows
        self._waiting: FairQueue[Live] = FairQueue()
        self._live: list[Live] = []
        self._watcher: Watcher = Nobody()
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    @staticmethod
    def load(settings: EngineSettings) -> Larimar:
        """Raises CheckpointError or WeightsError."""
        if settings.threads:
            torch.set_num_threads(settings.threads)
        model = LarimarModel.load(
            settings.checkpoint or DEFAULT,
            settings.decoder,
            settings.encoder,
            settings.device,
            settings.dtype,
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
        return not self._intake.dead

    @property
    def workload(self) -> Workload:
        return Workload(self._intake.pending, len(self._live), len(self._waiting))

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def encode(self, facts: Sequence[FactText], tenant: str = "") -> list[Encoded]:
        return cast(list[Encoded], await self._call(Job("encode", tenant, facts)))

    async def too_long(self, texts: Sequence[str]) -> list[int]:
        return await asyncio.to_thread(self.model.too_long, texts)

    async def read(self, memory: TenantMemory, queries: Sequence[str]) -> list[ReadResult]:
        asked = [(query, memory, False) for query in queries]
        found = await self._call(Job("read", memory.info.name, asked))
        return [_result(reading) for reading in found]

    async def score(
        self, memory: TenantMemory | None, items: Sequence[ScoreItem], mode: MemoryMode
    ) -> list[Scored]:
        job = Job("score", _name(memory), items, (memory, mode))
        return cast(list[Scored], await self._call(job))

    async def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        stream = Stream(asyncio.get_running_loop())
        job = Job("generate", _name(items[0].memory), items, stream)
        try:
            await self._call(job)
            left = len(items)
            while left:
                event = await stream.events.get()
                if isinstance(event, Exception):
                    raise event
                left -= isinstance(event, Generated)
                yield event
        finally:
            job.given_up = True

    def render_chat(self, messages: Sequence[dict[str, str]]) -> str:
        if not self.model.decoder.tokenizer.chat_template:
            raise NoChatTemplate("the model has no chat template: use completions")
        return self.model.decoder.chat(messages)

    async def start(self) -> None:
        """Returns when every path has run once: the first request pays for none of it."""
        if not self._thread.is_alive():
            self._thread.start()
        await warm_up(self)

    async def close(self) -> None:
        self._intake.stop()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def _call(self, job: Job) -> Any:
        self._intake.put(job)
        try:
            return await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            job.given_up = True
            raise

    # --- the device thread ------------------------------------------------------------------

    def _run(self) -> None:
        error: Exception = EngineStopped("the engine has stopped")
        try:
            torch.set_num_threads(torch.get_num_threads())  # OpenMP keeps the number by thread
            self._batch.forward.warm()
            while not self._intake.stopping:
                self._turn()
        except Exception as failure:
            log.error("the device thread failed", exc_info=failure)
            error = EngineStopped("the engine has failed")
        finally:
            self._fail_all(error)

    def _turn(self) -> None:
        busy = self._live or self._waiting or any(map(len, self._duties))
        jobs = self._intake.take(wait=not busy)
        self._open.update(jobs)
        for job in jobs:
            self._begin(job)
        for duty in self._duties:
            duty.serve()
        self._settle()
        self._admit()
        if self._live:
            self._watcher.batched("generate", len(self._live))
            self._batch.step()
            self._advance()

    @property
    def _duties(self) -> tuple[Duty[Any, Any], ...]:
        return (self._encoding, self._reading, self._scoring)

    def _begin(self, job: Job) -> None:
        """Hands it to its first duty; what is too long is refused."""
        begin = {"encode": self._begin_encode, "read": self._begin_read,
                 "score": self._begin_score, "generate": self._begin_generate}  # fmt: skip
        try:
            begin[job.kind](job)
        except Exception as refusal:  # or a text that the tokenizer fails at
            check_device()
            job.fail(refusal)

    def _answer(self, job: Job) -> Callable[[list[Any]], None]:
        """Takes the results, once the job's part of the queue is free for the caller's next."""

        def answer(results: list[Any]) -> None:
            self._intake.release(job.tenant, job.size)
            self._watcher.waited(job.kind, job.waited or 0.0)
            job.done.set_result(results)
            self._open.remove(job)

        return answer

    def _settle(self) -> None:
        """What is refused or given up leaves the queue's account."""
        for job in [job for job in self._open if job.over]:
            self._open.remove(job)
            self._intake.release(job.tenant, job.size)

    # --- encoding ---------------------------------------------------------------------------

    def _begin_encode(self, job: Job) -> None:
        texts = [fact_text(f.prompt, f.target, f.text) for f in job.items]
        tokens = self.model.lengths(texts)
        if long := [i for i, n in enumerate(tokens) if n > self.max_fact_tokens]:
            raise FactTooLong(long, self.max_fact_tokens)
        cues = [f.text if f.prompt is None else f.prompt for f in job.items]
        self._encoding.add(job, list(zip(cues, texts, strict=True)), tokens, self._answer(job))

    def _encode(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        self._watcher.batched("encode", len(pairs))
        cues = [cue for cue, _ in pairs]
        addresses = self.model.address.encode(cues).numpy()
        latents = self.model.latents([text for _, text in pairs]).numpy()
        return [Encoded(*row) for row in zip(cues, addresses, latents, strict=True)]

    # --- reading, and what needs it first ---------------------------------------------------

    def _begin_read(self, job: Job) -> None:
        tokens = self._checked([query for query, _, _ in job.items])
        self._reading.add(job, job.items, tokens, self._answer(job))

    def _read(self, asked: Sequence[Asked]) -> list[Reading]:
        """Tenants stacked: one kernel call. Choices of one prompt are read once."""
        once = {(query, id(memory), force): i for i, (query, memory, force) in enumerate(asked)}
        distinct = [asked[i] for i in once.values()]
        self._watcher.batched("read", len(distinct))
        found = self.model.read([query for query, _, _ in distinct],
                                [cast(TenantView, memory) for _, memory, _ in distinct],
                                [force for *_, force in distinct])  # fmt: skip
        readings = dict(zip(once, found, strict=True))
        return [readings[query, id(memory), force] for query, memory, force in asked]

    def _begin_score(self, job: Job) -> None:
        memory, mode = job.extra
        prompts = [item.prompt for item in job.items]
        longest = max((len(t) for item in job.items for t in item.targets), default=0)
        tokens = self._checked(prompts, longest)
        costs = [(n + longest) * len(item.targets)
                 for n, item in zip(tokens, job.items, strict=True)]  # fmt: skip

        def then(readings: list[Reading]) -> None:
            pairs = list(zip(job.items, readings, strict=True))
            self._scoring.add(job, pairs, costs, self._answer(job))

        self._conditioned(job, [(p, memory, mode) for p in prompts], tokens, then)

    def _score(self, pairs: Sequence[tuple[ScoreItem, Reading]]) -> list[Scored]:
        self._watcher.batched("score", len(pairs))
        items, readings = zip(*pairs, strict=True)
        return score(self.model.decoder, items, readings)

    def _score_in_steps(self, pair: tuple[ScoreItem, Reading]) -> Generator[None, None, Scored]:
        self._watcher.batched("score", 1)
        return score_in_steps(self.model.decoder, *pair, self._budget)

    def _begin_generate(self, job: Job) -> None:
        """Reads memory for every row of the call, once, and puts the rows in the queue."""
        new = max(item.sampling.max_new_tokens for item in job.items)
        tokens = self._checked([item.prompt for item in job.items], new)
        asked = [(item.query if item.query is not None else item.prompt, item.memory, item.mode)
                 for item in job.items]  # fmt: skip

        def then(readings: list[Reading]) -> None:
            rows = [Live(job, i, r, self.model.decoder) for i, r in enumerate(readings)]
            for live in rows:
                self._waiting.put(job.tenant, live, live.row.longest)
            job.done.set_result(None)
            self._open.discard(job)  # from here on its rows stand for it

        self._conditioned(job, asked, tokens, then)

    def _conditioned(self, job: Job, asked: Sequence[tuple[str, TenantMemory | None, MemoryMode]],
                     tokens: Sequence[int], then: Any) -> None:  # fmt: skip
        """`then` with a reading for each; an empty one where memory is not to be used."""
        used = {i: (query, memory, mode == "always")
                for i, (query, memory, mode) in enumerate(asked)
                if memory is not None and mode != "never"}  # fmt: skip

        def spread(found: list[Reading]) -> None:
            readings = [Reading() for _ in asked]
            for i, reading in zip(used, found, strict=True):
                readings[i] = reading
            then(readings)

        self._reading.add(job, list(used.values()), [tokens[i] for i in used], spread)

    def _checked(self, prompts: Sequence[str], new: int = 0) -> list[int]:
        """The prompts' tokens. Raises PromptTooLong if one cannot fit the decoder's context."""
        context = self.model.decoder.context
        room = context - self.max_fact_tokens - 2 - new
        counts = []
        for i, prompt in enumerate(prompts):
            guess = len(prompt) // CHARACTERS_A_TOKEN
            tokens = guess if guess > context else len(self.model.decoder.encode(prompt))
            if tokens > room:
                raise PromptTooLong(i, tokens + new, room + new)
            counts.append(tokens)
        return counts

    # --- rows -------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Lets waiting rows join while there is room; the first in turn holds the others up."""
        for live in self._waiting.drop(lambda live: live.job.given_up):
            self._intake.release(live.job.tenant, 1)
        while self._waiting and self._batch.room(self._waiting.first().row):
            live = self._waiting.pop()
            self._live.append(live)  # first: whatever joining raises is told to its caller
            self._batch.join(live.row)
            self._watcher.waited("generate", time.monotonic() - live.job.arrived)

    def _advance(self) -> None:
        """Hands the new tokens on; rows that are finished, lost or cancelled leave."""
        for live in list(self._live):
            end = OutOfMemory() if live.row.lost else live.advance()
            if end or live.job.given_up:
                self._batch.leave(live.row)
                self._live.remove(live)
                self._intake.release(live.job.tenant, 1)
            if end:  # last: the caller's next request finds the row free
                live.stream.put(end)

    def _fail_all(self, error: Exception) -> None:
        """Nobody waits for a dead engine."""
        for job in (*self._intake.die(), *self._open):
            job.fail(error)
        waiting = [self._waiting.pop() for _ in range(len(self._waiting))]
        for live in (*self._live, *waiting):
            live.stream.put(error)


def _name(memory: TenantMemory | None) -> str:
    return "" if memory is None else memory.info.name


def _result(reading: Reading) -> ReadResult:
    rows = zip(reading.ids, reading.weights, reading.similarities, strict=True)
    matches = tuple(Match(*row) for row in rows)
    return ReadResult(reading.in_scope, reading.confidence, reading.text, matches)
