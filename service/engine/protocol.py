"""What the HTTP routes ask of an engine, as data and one protocol.

`Larimar` (batcher.py) is the real one: a single thread owns the device. `FakeEngine` (fake.py)
gives answers that a test can compute by hand. Routes know nothing of tensors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from memory_store.store import Float32, MemorySpec, TenantMemory

MemoryMode = Literal["auto", "always", "never"]
Kind = Literal["encode", "read", "score", "generate"]
SUPPRESSED = "unknown"  # the target that a suppressed cue is stored with


class EngineError(Exception):
    """Base of what an engine refuses or fails at."""


class FactTooLong(EngineError):
    """Facts longer than T decoder tokens: `indices` into the call's facts."""

    def __init__(self, indices: Sequence[int], limit: int) -> None:
        super().__init__(f"a fact has at most {limit} tokens")
        self.indices, self.limit = tuple(indices), limit


class PromptTooLong(EngineError):
    """The prompt and what is to be generated exceed the decoder's context."""

    def __init__(self, index: int, tokens: int, limit: int) -> None:
        super().__init__(f"{tokens} tokens exceed the context of {limit}")
        self.index, self.tokens, self.limit = index, tokens, limit


class QueueFull(EngineError):
    """The engine's bounded queue is full; try again after `retry_after` seconds."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class OutOfMemory(EngineError):
    """The device's memory does not hold this item even alone; other work goes on."""

    def __init__(self) -> None:
        super().__init__("the device is out of memory: send less at a time, or try again")


class NoChatTemplate(EngineError):
    """The decoder's tokenizer brings no chat template: it is a base model."""


class EngineStopped(EngineError):
    """The engine's thread is gone."""


@dataclass(frozen=True, slots=True)
class FactText:
    """`prompt` + `target`, or `text` alone."""

    prompt: str | None = None
    target: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    cue: str  # the text that became the address: the prompt, or the whole text
    address: Float32  # (d,), unit length
    latent: Float32  # (C,)


@dataclass(frozen=True, slots=True)
class Match:
    id: str
    weight: float  # of the row in the least-squares readout; may be negative
    similarity: float  # cosine of the query's address and the row's


@dataclass(frozen=True, slots=True)
class ReadResult:
    in_scope: bool
    confidence: float  # calibrated probability that the query asks for a stored fact
    text: str  # decoded from the latent
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    max_new_tokens: int = 32
    temperature: float = 0.0  # 0, or next to it, is greedy
    top_p: float = 1.0
    top_k: int = 0  # 0 keeps all
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None  # how many alternatives to report a token; None reports nothing


@dataclass(frozen=True, slots=True)
class GenerateItem:
    """One row of generation. `memory` is the tenant's view; unused when mode is "never"."""

    prompt: str
    memory: TenantMemory | None
    mode: MemoryMode = "auto"
    sampling: Sampling = Sampling()
    query: str | None = None  # what the scope gate looks at; None: the prompt
    raw: bool = True  # False: the prompt is already a rendered chat template


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text of row `index`, cut at valid UTF-8 boundaries, stop strings held back."""

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """The end of row `index`."""

    index: int
    text: str
    in_scope: bool
    confidence: float
    fact_ids: tuple[str, ...]
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ScoreItem:
    prompt: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetScore:
    target: str
    logprob: float  # sum of the token log-probabilities, natural logarithm
    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    in_scope: bool
    targets: tuple[TargetScore, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """What an engine has to do, at a glance."""

    pending: int  # rows of work let in and not finished; 16 facts, queries or targets are one
    decoding: int  # rows in the batch
    waiting: int  # rows that wait for a place in it


class Watcher(Protocol):
    """Told what an engine does, by whichever thread does it."""

    def waited(self, kind: Kind, seconds: float) -> None:
        """A call, or a row of a generation, waited so long until it was begun."""
        ...

    def batched(self, kind: Kind, items: int) -> None:
        """So many items are worked on at once; of generations, rows in one decode step."""
        ...


class Nobody:
    """The watcher of an engine that nobody watches."""

    def waited(self, kind: Kind, seconds: float) -> None: ...
    def batched(self, kind: Kind, items: int) -> None: ...


class Engine(Protocol):
    @property
    def spec(self) -> MemorySpec: ...
    @property
    def model_id(self) -> str: ...
    @property
    def max_fact_tokens(self) -> int: ...
    @property
    def alive(self) -> bool:
        """False once the device thread has died."""
        ...

    @property
    def workload(self) -> Workload: ...
    def watch(self, watcher: Watcher) -> None:
        """Tell this one from now on."""
        ...

    async def encode(self, facts: Sequence[FactText], tenant: str = "") -> list[Encoded]:
        """For this tenant, whose share of the engine it takes. Raises FactTooLong."""
        ...

    async def too_long(self, texts: Sequence[str]) -> list[int]:
        """Indices of the texts that `encode` would refuse, in order."""
        ...

    async def read(self, memory: TenantMemory, queries: Sequence[str]) -> list[ReadResult]: ...
    def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        """Events of all rows, interleaved; one Generated a row. Closing it frees the rows."""
        ...

    async def score(
        self, memory: TenantMemory | None, items: Sequence[ScoreItem], mode: MemoryMode
    ) -> list[Scored]: ...
    def render_chat(self, messages: Sequence[dict[str, str]]) -> str:
        """The decoder's chat template, the same with and without memory.

        Raises NoChatTemplate.
        """
        ...

    async def start(self) -> None:
        """Load and warm up; returns when ready."""
        ...

    async def close(self) -> None: ...
