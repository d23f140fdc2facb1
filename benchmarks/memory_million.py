"""A million facts in one tenant: written, read, forgotten, and loaded anew.

`python -m benchmarks.memory_million --data DIR [--facts N]` writes
benchmarks/results/memory_million.json. Addresses are those of CounterFact's prompts, each with
small random changes, so that every fact has about five hundred near neighbours; latents are random.
All goes through the store, a real Valkey with its log, and back.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import write_results
from evaluation.capacity import prompts, shipped_encoder
from memory_store.embedded import EmbeddedValkey
from memory_store.redis_store import RedisStore, connect
from memory_store.store import ChangeRequest, Fact, Float32, MemorySpec

LATENT = 1024
CALL = 1000  # facts of one change
NOISE = 0.3  # length of the random part of an address
ASKED = 200
CACHE = 8 << 30  # bytes: the whole tenant and room to spare


class Facts:
    """Fact n, made from its number alone."""

    def __init__(self, encoded: Float32) -> None:
        self.encoded, self.spec = encoded, MemorySpec(encoded.shape[1], LATENT, "benchmark")

    def address(self, number: int) -> Float32:
        rng = np.random.default_rng(number)
        changes = rng.standard_normal(self.encoded.shape[1], dtype=np.float32)
        near = self.encoded[number % len(self.encoded)]
        near = near + NOISE * changes / np.linalg.norm(changes)
        unit: Float32 = near / np.linalg.norm(near)
        return unit

    def latent(self, number: int) -> Float32:
        return np.random.default_rng(~np.uint64(number)).standard_normal(LATENT, dtype=np.float32)

    def made(self, numbers: Sequence[int]) -> list[Fact]:
        return [Fact(cue=f"Cue {n}", address=self.address(n), latent=self.latent(n),
                     prompt=f"Cue {n}", target=f"value {n}", id=str(n))
                for n in numbers]  # fmt: skip


async def proof(url: str, facts: Facts, count: int) -> dict[str, Any]:
    """Raises AssertionError where a fact is not read, or read after it was forgotten."""
    rng, store = np.random.default_rng(0), RedisStore(connect(url), facts.spec, cache_bytes=CACHE)
    await store.create_tenant("million")
    start = time.perf_counter()
    for first in range(0, count, CALL):
        numbers = range(first, min(first + CALL, count))
        await store.write("million", facts.made(numbers), ChangeRequest(f"write {first}"))
    addresses = f"of {len(facts.encoded):,} prompts, each perturbed by {NOISE} of its length"
    found: dict[str, Any] = {"addresses": addresses, "facts": count}
    found["written in, s"] = time.perf_counter() - start
    asked = [int(n) for n in rng.choice(count, ASKED, replace=False)]
    found |= await reads(store, facts, asked)
    gone = asked[: ASKED // 2]
    start = time.perf_counter()
    await store.forget("million", ChangeRequest("forget"), ids=[str(n) for n in gone])
    found[f"{len(gone)} facts forgotten in, ms"] = 1000 * (time.perf_counter() - start)
    await store.close()
    fresh = RedisStore(connect(url), facts.spec, cache_bytes=CACHE)
    start = time.perf_counter()
    memory = await fresh.memory("million")
    found["loaded anew in, s"] = time.perf_counter() - start
    assert memory.info.facts == count - len(gone)
    ids = memory.read(np.stack([facts.address(n) for n in asked])).ids
    for n, read in zip(asked, ids, strict=True):
        assert (str(n) in read) == (n not in gone), n
    used = await connect(url).info("memory")
    await fresh.close()
    return found | {"Valkey, GB": used["used_memory_peak"] / 1e9, "this process, GB": peak()}


async def reads(store: RedisStore, facts: Facts, asked: Sequence[int]) -> dict[str, Any]:
    memory = await store.memory("million")
    memory.read(facts.address(0)[None])  # builds the index
    times = []
    for n in asked:
        start = time.perf_counter()
        readout = memory.read(facts.address(n)[None])
        times.append(time.perf_counter() - start)
        assert readout.ids[0][0] == str(n), n
        assert np.corrcoef(readout.clean[0], facts.latent(n))[0, 1] > 0.999
    return {"reads": len(asked), "one read, ms (median)": 1000 * float(np.median(times))}


def peak() -> float:
    """The most memory that this process has held, GB."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=1_000_000)
    given = parser.parse_args()
    facts = Facts(shipped_encoder().encode(prompts(given.data)[0]).numpy())
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = server.start()
        try:
            found = asyncio.run(proof(url, facts, given.facts))
        finally:
            server.stop()
    write_results("memory_million", {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in found.items()
    })  # fmt: skip


if __name__ == "__main__":
    main()
