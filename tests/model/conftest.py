"""The real model under the shipped checkpoint, loaded once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from memory_store.store import Fact
from memory_store.view import View, build_view
from service.engine.batcher import Larimar
from service.model.larimar import LarimarModel, fact_text

Pairs = Sequence[tuple[str, str]]


@pytest.fixture(scope="session")
def model() -> LarimarModel:
    return LarimarModel.load()


@pytest.fixture(scope="session")
def remember(model: LarimarModel) -> Callable[[Pairs], View]:
    """(prompt, target) pairs → a memory that holds vectors and not one word of them."""

    def made(pairs: Pairs) -> View:
        addresses = model.address.encode([prompt for prompt, _ in pairs]).numpy()
        latents = model.latents([fact_text(p, t, None) for p, t in pairs]).numpy()
        facts = [Fact(f"cue {i}", a, z, id=str(i))
                 for i, (a, z) in enumerate(zip(addresses, latents, strict=True))]  # fmt: skip
        return build_view(facts, model.spec)

    return made


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine(model: LarimarModel) -> AsyncIterator[Larimar]:
    one = Larimar(model, rows=4, queue_size=128)
    await one.start()
    yield one
    await one.close()
