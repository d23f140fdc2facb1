"""Every path once before the service is ready, so that the first request pays for none of it."""

from __future__ import annotations

from memory_store.store import Fact
from memory_store.view import build_view
from service.engine.protocol import Engine, FactText, GenerateItem, Sampling, ScoreItem

FACT = FactText(prompt="The service is", target="warm")


async def warm_up(engine: Engine) -> None:
    """Encodes a fact, reads it, scores with it and generates with it and without."""
    (code,) = await engine.encode([FACT])
    fact = Fact(cue=code.cue, address=code.address, latent=code.latent, id="warm-up")
    memory = build_view([fact], engine.spec)
    await engine.score(memory, [ScoreItem(code.cue, (" warm",))], "always")
    rows = [GenerateItem(code.cue, memory, mode, Sampling(max_new_tokens=4))
            for mode in ("always", "never")]  # fmt: skip
    async for _ in engine.generate(rows):
        pass
