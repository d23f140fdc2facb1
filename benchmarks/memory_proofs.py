"""Proofs that the memory loses nothing: processes that conflict, that are killed, that forget;
with those of memory_outages.py.

`python -m benchmarks.memory_proofs` runs the long forms, prints each result and writes them, with
revision and date, to benchmarks/results/memory_proofs.json. The tests run the short forms.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import memory_outages
from benchmarks.memory_facts import made
from benchmarks.memory_outages import SPEC, TENANT
from benchmarks.report import write_results
from memory_store.embedded import EmbeddedValkey
from memory_store.errors import StoreError
from memory_store.redis_store import RedisStore, connect
from memory_store.store import ChangeRequest, Fact

BATCH = 4
PROCESSES = multiprocessing.get_context("forkserver")  # the imports are paid for once
PROCESSES.set_forkserver_preload(["memory_store.redis_store"])


@dataclass(frozen=True, slots=True)
class Told:
    """An acknowledged change."""

    version: int
    numbers: list[int]
    worker: int


def fact(number: int, version: int) -> Fact:
    return made(number, version, SPEC)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(connect(url), SPEC)
    try:
        yield store
    finally:
        await store.close()


class Writer:
    """A process that writes facts in batches and tells what was acknowledged."""

    def __init__(self, url: str, worker: int, numbers: Sequence[int]) -> None:
        self._told, tells = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=_write, args=(url, worker, numbers, tells))
        self.process.start()
        tells.close()

    def first(self) -> Told:
        told: Told = self._told.recv()
        return told

    def rest(self) -> list[Told]:
        """Until its end, natural or not."""
        told: list[Told] = []
        with suppress(EOFError):
            while True:
                told.append(self._told.recv())
        self._told.close()
        self.process.join()
        return told


def _write(url: str, worker: int, numbers: Sequence[int], tells: Connection) -> None:
    async def stream() -> None:
        async with opened(url) as store:
            for start in range(0, len(numbers), BATCH):
                batch = list(numbers[start : start + BATCH])
                request = ChangeRequest(f"{worker}-{start}-{os.getpid()}")
                change = await store.write(TENANT, [fact(n, worker) for n in batch], request)
                tells.send(Told(change.version, batch, worker))

    with suppress(StoreError):  # Valkey was killed under it, as some proofs do
        asyncio.run(stream())


async def assert_same_memory(store: RedisStore, facts: Sequence[Fact]) -> None:
    """The proof's tenant answers as a fresh one that was given only `facts`, to the bit."""
    await store.create_tenant("fresh")
    for start in range(0, len(facts), 500):
        part = facts[start : start + 500]
        await store.write("fresh", part, ChangeRequest(f"fresh-{start}"))
    worn, fresh = await store.view(TENANT), await store.view("fresh")
    assert sorted(worn.latents()) == sorted(fresh.latents())
    rng = np.random.default_rng(0)
    asked = np.stack([f.address for f in facts[:200]])
    asked = np.concatenate([asked, asked + 0.05 * rng.standard_normal(asked.shape)])
    one, other = (view.read(asked.astype(np.float32)) for view in (worn, fresh))
    assert one.ids == other.ids
    assert np.array_equal(one.latent, other.latent)
    assert np.array_equal(one.variance, other.variance)
    await store.delete_tenant("fresh")


async def conflicts(url: str, facts: int, workers: int = 4) -> dict[str, Any]:
    """Workers write to one tenant at once, a tenth of the cues shared: none lost, none doubled,
    and the memory is what the acknowledged changes give when replayed in order of version."""
    async with opened(url) as store:
        await store.create_tenant(TENANT)
        each, common = facts // workers, list(range(100_000, 100_000 + facts // 10 // workers))
        own = each - len(common)
        started = time.perf_counter()
        writers = [
            Writer(url, w, [*range(w * own, (w + 1) * own), *common]) for w in range(workers)
        ]
        told = [t for writer in writers for t in await asyncio.to_thread(writer.rest)]
        seconds = time.perf_counter() - started
        told.sort(key=lambda change: change.version)
        assert [change.version for change in told] == list(range(1, len(told) + 1))
        assert sum(len(change.numbers) for change in told) == workers * (own + len(common))
        last: dict[int, Fact] = {}
        for change in told:
            for number in change.numbers:
                last.pop(number, None)
                last[number] = fact(number, change.worker)
        info = await store.tenant(TENANT)
        assert (info.version, info.facts) == (len(told), workers * own + len(common))
        await assert_same_memory(store, list(last.values()))
        await store.delete_tenant(TENANT)
    return {"facts": facts, "changes": len(told), "seconds": round(seconds, 1)}


async def kills(folder: Path, rounds: int, seed: int = 0) -> dict[str, Any]:
    """Kill -9 the writer, Valkey or both at random moments of a write stream: every acknowledged
    fact is there, every change is whole or absent."""
    rng, server, kept, first = random.Random(seed), EmbeddedValkey(folder), set[int](), 0
    cut = 0
    async with opened(server.start()) as store:
        await store.create_tenant(TENANT)
    try:
        for number in range(rounds):
            numbers = range(first, first + 4000)
            writer = Writer(server.url, number, numbers)
            told = [await asyncio.to_thread(writer.first)]
            await asyncio.sleep(rng.random() * 0.5)
            victims = rng.choice([["writer"], ["valkey"], ["valkey", "writer"]])
            if "valkey" in victims:
                os.kill(server.pid, signal.SIGKILL)
            if "writer" in victims:
                writer.process.kill()
            told += await asyncio.to_thread(writer.rest)
            server.stop()
            server.start()
            kept |= {n for change in told for n in change.numbers}
            cut += await _check_survivors(server.url, kept, numbers)
            first += 4000
    finally:
        server.stop()
    return {"rounds": rounds, "facts": len(kept), "applied_unacknowledged": cut}


async def _check_survivors(url: str, kept: set[int], numbers: range) -> int:
    """All of `kept` are stored, and of `numbers` whole changes only. Takes along what was applied
    and never acknowledged; how many changes that was (at most one a round)."""
    async with opened(url) as store:
        view = await store.view(TENANT)  # every row against its checksum
        there = {int(latent[0]) for latent in view.latents().values()}
        records, cursor = set[int](), None
        while True:
            page, cursor = await store.records(TENANT, cursor=cursor, limit=500)
            records |= {int((record.target or "").split("-")[0]) for record in page}
            if cursor is None:
                break
    assert {n % 2048 for n in records} == there
    assert len(records) == view.info.facts == len(view.latents())
    assert kept <= records
    extra = sorted(records - kept)
    assert extra in ([], list(range(extra[0], extra[0] + BATCH)) if extra else [])
    assert all(n in numbers for n in extra)
    kept |= records
    return len(extra) // BATCH


async def life(url: str, changes: int, seed: int = 0) -> dict[str, Any]:
    """Random writes, replacements, forgets and expiries leave what a fresh tenant holding the
    survivors would answer."""
    rng = random.Random(seed)
    alive: dict[int, Fact] = {}
    async with opened(url) as store:
        await store.create_tenant(TENANT)
        for version in range(changes):
            numbers = [rng.randrange(200) for _ in range(rng.randint(1, 6))]
            request = ChangeRequest(f"life-{version}")
            if rng.random() < 0.3:
                await store.forget(TENANT, request, cues=[fact(n, 0).cue for n in numbers])
                for n in numbers:
                    alive.pop(n, None)
                continue
            soon = time.time() + 0.01 if rng.random() < 0.2 else None
            batch = [replace(fact(n, version), expires_at=soon) for n in numbers]
            await store.write(TENANT, batch, request)
            for n, new in zip(numbers, batch, strict=True):
                alive.pop(n, None)
                if soon is None:
                    alive[n] = new
            if version % 50 == 49:
                _ = [change async for change in store.sweep(TENANT)]
        await asyncio.sleep(0.02)
        _ = [change async for change in store.sweep(TENANT)]
        await assert_same_memory(store, survivors := list(alive.values()))
        await store.delete_tenant(TENANT)
    return {"changes": changes, "survivors": len(survivors)}


async def main() -> None:
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedValkey(folder / "steady")
        url = server.start()
        try:
            results["a: four processes, one tenant, conflicts"] = await conflicts(url, 2000)
            results["e: flipped bits"] = await memory_outages.flipped(url, 200)
            results["f: store as one, read as another"] = await memory_outages.apart(url, 1000)
            results["h: random changes, compared with the survivors"] = await life(url, 1000)
        finally:
            server.stop()
        results["b: kill -9 of writer and Valkey"] = await kills(folder / "killed", 20)
        results["c: Valkey away under load"] = await memory_outages.away(folder / "away", 10)
        results["d: Valkey full"] = await memory_outages.full(folder / "full")
        results["g: failovers"] = await memory_outages.failovers(folder / "failover", 5)
    write_results("memory_proofs", dict(sorted(results.items())))


if __name__ == "__main__":
    asyncio.run(main())
