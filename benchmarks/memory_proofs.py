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
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks import memory_outages
from benchmarks.load_proof import ADMIN_KEY, stored
from benchmarks.memory_facts import made
from benchmarks.memory_outages import SPEC, TENANT
from benchmarks.processes import Process, until
from benchmarks.report import write_results
from memory_store.embedded import EmbeddedValkey
from memory_store.redis_store import RedisStore, connect
from memory_store.store import ChangeRequest, Fact, MemorySpec
from service.engine.fake import FakeEngine

BATCH = 4
VICTIMS = (["service"], ["valkey"], ["valkey", "service"])
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
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
async def opened(url: str, spec: MemorySpec = SPEC) -> AsyncIterator[RedisStore]:
    store = RedisStore(connect(url), spec)
    try:
        yield store
    finally:
        await store.close()


def write_stream(url: str, worker: int, numbers: Sequence[int]) -> list[Told]:
    """Write facts in batches, in a process of its own."""

    async def stream() -> list[Told]:
        told = []
        async with opened(url) as store:
            for start in range(0, len(numbers), BATCH):
                batch = list(numbers[start : start + BATCH])
                request = ChangeRequest(f"{worker}-{start}-{os.getpid()}")
                change = await store.write(TENANT, [fact(n, worker) for n in batch], request)
                told.append(Told(change.version, batch, worker))
        return told

    return asyncio.run(stream())


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
    assert all(map(np.array_equal, one.weights, other.weights))
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
        with ProcessPoolExecutor(workers, PROCESSES) as pool:
            writers = [
                pool.submit(write_stream, url, w, [*range(w * own, (w + 1) * own), *common])
                for w in range(workers)
            ]
            told = [t for writer in writers for t in await asyncio.wrap_future(writer)]
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
    """Kill -9 the service, Valkey or both at random moments of a stream of writes over HTTP: every
    acknowledged fact is there, every change is whole or absent. `facts` are those acknowledged;
    beside them, changes of four that were applied and never were."""
    rng, valkey, kept, cut = random.Random(seed), EmbeddedValkey(folder), set[int](), 0
    environment = {"LARIMAR_REDIS_URL": valkey.start(), "LARIMAR_ADMIN_KEY": ADMIN_KEY}
    service = Process(folder / "service", 0.0, **environment)
    try:
        until(service.ready)
        async with httpx.AsyncClient(base_url=service.url, headers=HEADERS) as client:
            (await client.put(f"/v1/tenants/{TENANT}")).raise_for_status()
        for victims in islice(cycle(VICTIMS), rounds):
            stream, pid = asyncio.create_task(_stream(service.url, kept)), valkey.pid
            await asyncio.sleep(0.1 + rng.random() * 0.5)
            assert not stream.done()
            if "valkey" in victims:
                os.kill(pid, signal.SIGKILL)
            if "service" in victims:
                service.popen.kill()
            last = await stream
            if "valkey" in victims:
                valkey.stop()
                valkey.start()
            if "service" in victims:
                service.end()
                service = Process(service.data_dir, 0.0, **environment)
                until(service.ready)
            cut += await _check_survivors(service, valkey.url, kept, last)
    finally:
        service.popen.terminate()
        service.end()
        valkey.stop()
    return {"rounds": rounds, "facts": len(kept) - BATCH * cut, "applied_unacknowledged": cut}


async def _stream(url: str, kept: set[int]) -> range:
    """Write batches, adding to `kept`, until one is not acknowledged; that one."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as client:
        for first in count(len(kept), BATCH):
            batch = range(first, first + BATCH)
            facts = [{"id": f"{n}", "prompt": f"Locker {n} holds", "target": _held(n)}
                     for n in batch]  # fmt: skip
            try:
                reply = await client.post(f"/v1/tenants/{TENANT}/write", json={"facts": facts})
            except httpx.TransportError:
                break
            if reply.status_code == 503:
                break
            reply.raise_for_status()
            kept.update(batch)
    return batch


def _held(number: int) -> str:
    return f"crate {number}"


async def _check_survivors(service: Process, url: str, kept: set[int], last: range) -> int:
    """The service lists `kept`, rows and records alike, and of `last` all or nothing. Takes along
    what was applied and never acknowledged: 1 if something was."""
    there = stored(service.url, TENANT, ADMIN_KEY)
    async with opened(url, FakeEngine().spec) as store:
        view = await store.view(TENANT)  # every row against its checksum
    applied = f"{last[0]}" in there
    kept |= set(last if applied else ())
    assert there == {f"{n}": _held(n) for n in kept}
    assert view.latents().keys() == there.keys()
    assert view.info.facts == len(kept)
    return int(applied)


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
        results["b: kill -9 of service and Valkey"] = await kills(folder / "killed", 20)
        results["c: Valkey away under load"] = await memory_outages.away(folder / "away", 10)
        results["d: Valkey full"] = await memory_outages.full(folder / "full")
        results["g: failovers"] = await memory_outages.failovers(folder / "failover", 5)
    write_results("memory_proofs", dict(sorted(results.items())))


if __name__ == "__main__":
    asyncio.run(main())
