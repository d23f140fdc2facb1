"""How much memory facts, tenants and a replica take: the figures of docs/operations/sizing.md.

`python -m benchmarks.sizing` prints and writes benchmarks/results/sizing.json. Bytes, not times:
other work on the machine does not move them. Rows are of the shipped checkpoint's shape.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.memory_facts import made
from benchmarks.report import write_results
from memory_store.embedded import EmbeddedValkey
from memory_store.pages import Layout
from memory_store.redis_store import RedisStore, connect
from memory_store.store import ChangeRequest, MemorySpec

SPEC = MemorySpec(address_dim=768, latent_dim=1024, fingerprint="sizing")
FACTS, BATCH = 16_384, 512
TENANTS = 200
PROMPT = "The owner of the billing service is"


def resident() -> int:
    """Bytes of this process that are in memory."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split("VmRSS:")[1].split()[0])


async def store_bytes() -> dict[str, Any]:
    """A fact in Redis, in its append-only file and in a replica; a tenant with one fact."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = await asyncio.to_thread(server.start)
        store, redis = RedisStore(connect(url), SPEC), connect(url)

        async def held() -> int:
            return int((await redis.info("memory"))["used_memory"])

        async def logged() -> int:
            return int((await redis.info("persistence"))["aof_current_size"])

        await redis.config_set("auto-aof-rewrite-percentage", 0)  # which would shrink it
        await fill(store, "first", BATCH)  # what everything needs once
        memory, log = await held(), await logged()
        await fill(store, "many", FACTS)
        a_fact, in_log = (await held() - memory) / FACTS, (await logged() - log) / FACTS
        memory, before = await held(), resident()
        view = await store.view("many")
        view.read(made(1, spec=SPEC).address[None])
        cached, grown = view.nbytes / FACTS, (resident() - before) / FACTS
        for n in range(TENANTS):
            await fill(store, f"t{n}", 1)
        a_tenant = (await held() - memory) / TENANTS
        await redis.aclose()
        await store.close()
        await asyncio.to_thread(server.stop)
    return {
        "row, by its layout": Layout(SPEC).row_size,
        "redis, a fact": round(a_fact),
        "append-only file, a fact": round(in_log),
        "cache, a fact, as counted": round(cached),
        "cache, a fact, resident": round(grown),
        "redis, a tenant with one fact": round(a_tenant),
    }


async def fill(store: RedisStore, tenant: str, facts: int) -> None:
    await store.create_tenant(tenant)
    for start in range(0, facts, BATCH):
        part = [made(n, spec=SPEC) for n in range(start, min(start + BATCH, facts))]
        await store.write(tenant, part, ChangeRequest(f"{start}"))


async def replica_bytes() -> dict[str, Any]:
    """A process with the real model, before and after 32 rows have decoded together."""
    from service.engine.batcher import Larimar
    from service.engine.protocol import GenerateItem, Sampling
    from service.settings import Settings

    bare = resident()
    engine = Larimar.load(Settings())
    await engine.start()
    loaded = resident()
    item = GenerateItem(PROMPT, None, "never", Sampling(max_new_tokens=16))
    async for _ in engine.generate([item] * 32):
        pass
    worked = resident()
    await engine.close()
    cache = engine.model.decoder.model.config
    heads, layers = cache.num_key_value_heads, cache.num_hidden_layers
    return {
        "interpreter and libraries": bare,
        "with the model": loaded,
        "after 32 rows": worked,
        "keys and values, a token": 2 * 4 * heads * cache.head_dim * layers,
    }


def alone(measure: Callable[[], Any]) -> dict[str, Any]:
    """In a process of its own, so that one measurement does not see the other's memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found: dict[str, Any] = pool.apply(run, (measure,))
        return found


def run(measure: Callable[[], Any]) -> dict[str, Any]:
    found: dict[str, Any] = asyncio.run(measure())
    return found


if __name__ == "__main__":
    measured = {"store": alone(store_bytes), "process": alone(replica_bytes)}
    write_results("sizing", {"facts": FACTS, "bytes": measured})
