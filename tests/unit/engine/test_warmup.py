"""Ready means that every path has run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from memory_store.store import TenantMemory
from service.engine.fake import FakeEngine
from service.engine.protocol import (
    Encoded,
    FactText,
    Generated,
    GenerateItem,
    MemoryMode,
    Scored,
    ScoreItem,
    Token,
)
from service.engine.warmup import warm_up


class Watched(FakeEngine):
    """Keeps what it was asked for, and how often a row was answered from memory."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def encode(self, facts: Sequence[FactText], tenant: str = "") -> list[Encoded]:
        self.asked.append("encode")
        return await super().encode(facts, tenant)

    async def score(
        self, memory: TenantMemory | None, items: Sequence[ScoreItem], mode: MemoryMode
    ) -> list[Scored]:
        found = await super().score(memory, items, mode)
        self.asked.append("score, read" if found[0].in_scope else "score")
        return found

    async def generate(self, items: Sequence[GenerateItem]) -> AsyncIterator[Token | Generated]:
        async for event in super().generate(items):
            if isinstance(event, Generated):
                self.asked.append("generate, read" if event.in_scope else "generate")
            yield event


def test_every_path_runs_once() -> None:
    engine = Watched()
    asyncio.run(warm_up(engine))
    assert engine.asked == ["encode", "score, read", "generate, read", "generate"]
