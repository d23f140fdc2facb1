"""Proofs of what is promised for bad days: Valkey away, full, damaged, failed over; and that no
tenant ever sees another's facts.

The long forms are part of `python -m benchmarks.memory_proofs`; the tests run the short forms.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from redis.asyncio import Redis

from benchmarks.memory_facts import made
from benchmarks.servers import client, road, server, until
from memory_store import errors
from memory_store.cue import default_id
from memory_store.embedded import EmbeddedValkey
from memory_store.pages import HEADER, K, Layout
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import page_key
from memory_store.store import ChangeRequest, Document, Kind, MemorySpec

SPEC = MemorySpec(address_dim=64, latent_dim=16, fingerprint="proof")
TENANT = "proof"
ROOM = 4 << 20  # bytes, of a Valkey that gets full
CHUNKS = 30  # numbers from here on are chunks of documents
# Names that are one another's beginnings, ends and separators.
NAMES = ("a", "a-a", "a_a", "aa", "a0", "page", "meta", "a-log")


async def write(store: RedisStore, tenant: str, numbers: Sequence[int], version: int = 0) -> None:
    facts = [made(n, version, SPEC) for n in numbers]
    await store.write(tenant, facts, ChangeRequest(os.urandom(8).hex()))


async def held(store: RedisStore, tenant: str) -> set[int]:
    """Numbers of all stored facts, as rows and as records."""
    rows = {int(latent[0]) for latent in (await store.view(tenant)).latents().values()}
    records, cursor = set[int](), None
    while True:
        page, cursor = await store.records(tenant, cursor=cursor, limit=500)
        records |= {int((record.target or "").split("-")[0]) for record in page}
        if cursor is None:
            break
    assert rows == {n % 2048 for n in records}
    return records


class Load:
    """A reader and a writer of one store, who count what they are told."""

    def __init__(self, store: RedisStore) -> None:
        self._store, self.acknowledged, self._ended = store, {0}, False
        self.counts = dict.fromkeys(("fresh", "stale", "written", "refused"), 0)

    async def read(self) -> None:
        while not self._ended:
            memory = await self._store.memory(TENANT)  # must not raise, Valkey away or not
            assert memory.read(made(0, 0, SPEC).address[None]).ids[0]
            self.counts["stale" if memory.stale else "fresh"] += 1
            await asyncio.sleep(0.005)

    async def write(self) -> None:
        number = 1
        while not self._ended:
            try:
                await write(self._store, TENANT, [number])
            except (errors.StoreUnavailable, errors.OutcomeUnknown):
                self.counts["refused"] += 1
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.add(number)
                self.counts["written"] += 1
            number += 1

    async def reaches(self, *names: str) -> None:
        """Until each count has grown; the limit only ends a proof that hangs."""
        before = dict(self.counts)
        for _ in range(6000):
            if all(self.counts[name] > before[name] for name in names):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{names} never grew: {self.counts}")

    def end(self) -> None:
        self._ended = True


async def away(folder: Path, seconds: float) -> dict[str, Any]:
    """Valkey is killed under load and comes back later: reads go on and say `stale`, writes are
    refused, both recover by themselves, and all that was acknowledged is there."""
    valkey = EmbeddedValkey(folder)
    store = RedisStore(connect(valkey.start()), SPEC)
    try:
        await store.create_tenant(TENANT)
        await write(store, TENANT, [0])
        load = Load(store)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.read())
            tasks.create_task(load.write())
            await load.reaches("fresh", "written")
            os.kill(valkey.pid, signal.SIGKILL)
            await load.reaches("stale", "refused")
            before = dict(load.counts)
            await asyncio.sleep(seconds)
            gone = {name: load.counts[name] - before[name] for name in before}
            valkey.stop()
            await asyncio.to_thread(valkey.start)
            await load.reaches("fresh", "written")
            load.end()
        assert gone["stale"] > 0
        assert gone["refused"] > 0
        assert gone["fresh"] == gone["written"] == 0
        assert await held(store, TENANT) >= load.acknowledged
    finally:
        await store.close()
        valkey.stop()
    return {"seconds": seconds, "while away": gone, "acknowledged": len(load.acknowledged)}


async def full(folder: Path) -> dict[str, Any]:
    """Three writers meet maxmemory: what is refused is absent, what is acknowledged is there,
    an erase still works, and so does a write once there is room."""
    valkey = EmbeddedValkey(folder)
    store = RedisStore(connect(valkey.start()), SPEC)
    kept = set[int]()
    try:
        await store.create_tenant(TENANT)
        await write(store, TENANT, [0])
        with redis.Redis.from_url(valkey.url) as admin:
            admin.config_set("maxmemory", admin.info("memory")["used_memory"] + ROOM)

            async def fill(first: int) -> None:
                for start in range(first, first + 100_000, 50):
                    await write(store, TENANT, range(start, start + 50))
                    kept.update(range(start, start + 50))

            writers = [fill(100_000 * n) for n in (1, 2, 3)]
            told = await asyncio.gather(*writers, return_exceptions=True)
            assert all(isinstance(error, errors.StoreFull) for error in told), told
            assert await held(store, TENANT) == kept | {0}
            cues = [made(n, 0, SPEC).cue for n in sorted(kept)[:500]]
            change = await store.forget(TENANT, ChangeRequest("erase"), cues=cues)
            assert {result.status for result in change.results} == {"erased"}
            assert len(await held(store, TENANT)) == len(kept) + 1 - 500
            admin.config_set("maxmemory", 0)
        await write(store, TENANT, [1])
    finally:
        await store.close()
        valkey.stop()
    return {"writers": 3, "facts when full": len(kept), "erased when full": 500}


async def flipped(url: str, rounds: int, seed: int = 0) -> dict[str, Any]:
    """A random bit of a random row: an error that names the page, and nobody else notices."""
    rng, layout, noticed = random.Random(seed), Layout(SPEC), 0
    async with Redis.from_url(url) as raw:
        store = RedisStore(connect(url), SPEC)
        try:
            for tenant in (TENANT, "neighbour"):
                await store.create_tenant(tenant)
                for start in range(0, 2 * K, K):
                    await write(store, tenant, range(start, start + K))
            epoch = (await store.tenant(TENANT)).epoch
            for _ in range(rounds):
                page = rng.randrange(2)
                at = HEADER.size + rng.randrange(K * layout.row_size)
                key = page_key(TENANT, epoch, page)
                was: Any = await raw.getrange(key, at, at)
                await raw.setrange(key, at, bytes([was[0] ^ 1 << rng.randrange(8)]))
                store._cache.drop(TENANT)  # as another worker would see it
                said = ""
                try:
                    await store.memory(TENANT)
                except errors.PageCorrupt as error:
                    said = str(error)
                assert f"page {page}" in said, f"byte {at} of page {page}"
                noticed += 1
                store._cache.drop("neighbour")
                assert len((await store.view("neighbour")).latents()) == 2 * K
                await raw.setrange(key, at, was)
            assert len(await held(store, TENANT)) == 2 * K
            for tenant in (TENANT, "neighbour"):
                await store.delete_tenant(tenant)
        finally:
            await store.close()
    return {"bits flipped": rounds, "noticed": noticed}


async def apart(url: str, changes: int, seed: int = 0) -> dict[str, Any]:
    """Eight tenants write and forget the same cues, documents and change ids at random, and move
    to snapshots of themselves; through every call each sees what a model of it alone holds."""
    rng, store = random.Random(seed), RedisStore(connect(url), SPEC)
    alone: dict[str, dict[int, int]] = {name: {} for name in NAMES}  # version of each number
    sent = dict.fromkeys(NAMES, 0)
    try:
        for name in NAMES:
            await store.create_tenant(name)
        for version in range(1, changes + 1):
            name = rng.choice(NAMES)
            sent[name] += 1
            await _change(
                store, name, alone[name], version, ChangeRequest(f"{sent[name]}", "b"), rng
            )
            seen = rng.choice(NAMES)
            await _sees(store, seen, alone[seen], rng.randrange(CHUNKS))
        for name in NAMES[::2]:
            await store.delete_tenant(name)
        for name in NAMES[1::2]:
            await _sees(store, name, alone[name], 0)
            await store.delete_tenant(name)
    finally:
        await store.close()
    return {"tenants": len(NAMES), "changes": changes}


async def _change(
    store: RedisStore,
    name: str,
    mine: dict[int, int],
    version: int,
    request: ChangeRequest,
    rng: random.Random,
) -> None:
    """One random change of a tenant and of its model `mine`: a fact or suppression forgotten or
    written, a document of two chunks erased or written, a snapshot of itself imported."""
    n, roll = rng.randrange(CHUNKS), rng.random()
    chunks = [CHUNKS + 2 * (n % 3), CHUNKS + 2 * (n % 3) + 1]
    if roll < 0.25:
        change = await store.forget(name, request, cues=[made(n, 0, SPEC).cue])
        expected = "not_found" if mine.pop(n, None) is None else "erased"
        assert change.results[0].status == expected
    elif roll < 0.35 and chunks[0] in mine:
        assert [part async for part in store.forget_document(name, f"{chunks[0]}", request)]
        for chunk in chunks:
            del mine[chunk]
    elif roll < 0.35:
        document = Document(f"{chunks[0]}", "digest", 2, 0, 1.0)
        facts = [made(chunk, version, SPEC) for chunk in chunks]
        await store.write_chunks(name, document, facts, request)
        mine |= dict.fromkeys(chunks, version)
    elif roll < 0.4:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join([piece async for piece in store.export_snapshot(name)]))
            file.flush()
            await store.import_snapshot(name, Path(file.name), request)
    else:
        kind: Kind = "fact" if n % 3 else "suppression"
        await store.write(name, [replace(made(n, version, SPEC), kind=kind)], request)
        mine[n] = version


async def _sees(store: RedisStore, name: str, alone: dict[int, int], asked: int) -> None:
    """What this tenant holds: by listing, by id, by reading; and nothing of it is swept."""
    mine = {f"{n}-{version}" for n, version in alone.items()}
    records, _ = await store.records(name, limit=500)
    assert {record.target for record in records} == mine
    info, view = await store.tenant(name), await store.view(name)
    kinds = Counter(record.kind for record in records)
    assert (info.facts, info.suppressions) == (kinds["fact"], kinds["suppression"])
    assert info.chunks == kinds["chunk"] == sum(n >= CHUNKS for n in alone)
    assert len(view.latents()) == len(mine)
    documents = {document.id for document in await store.documents(name)}
    assert documents == {f"{n}" for n in alone if n >= CHUNKS and n % 2 == 0}
    assert not [change async for change in store.sweep(name)]
    readout = view.read(made(asked, 0, SPEC).address[None])
    assert set(readout.ids[0]) <= {record.id for record in records}
    try:
        target = (await store.record(name, default_id(made(asked, 0, SPEC).cue))).target
    except errors.FactNotFound:
        target = None
    assert target == (f"{asked}-{alone[asked]}" if asked in alone else None)


async def failovers(folder: Path, rounds: int, seed: int = 0) -> dict[str, Any]:
    """A replica whose link was cut while facts were written is promoted. Waiting for it, nothing
    acknowledged is lost; not waiting, what was lost is noticed: nobody serves an old cache."""
    rng, lost, started = random.Random(seed), {True: 0, False: 0}, time.perf_counter()
    for number in range(rounds):
        for careful in lost:
            place = folder / f"{number}-{careful}"
            lost[careful] += await _failover(place, rng.randint(1, 6), careful)
    assert lost[True] == 0 < lost[False]
    return {
        "rounds": rounds,
        "acknowledged and lost, waiting": lost[True],
        "acknowledged and lost, not waiting; all noticed": lost[False],
        "seconds": round(time.perf_counter() - started, 1),
    }


async def _failover(folder: Path, after: int, careful: bool) -> int:
    """How many acknowledged facts were lost; `after` are written once the link is cut."""
    with server(folder / "primary", **{"repl-diskless-sync-delay": "0"}) as primary:
        source = f"127.0.0.1 {primary.port}"
        with (
            server(folder / "replica", replicaof=source) as replica,
            client(replica) as link,
        ):
            until(lambda: _follows(link.info()))
            async with road(primary) as way:
                store = RedisStore(connect(way.url), SPEC, replicas=int(careful))
                try:
                    await store.create_tenant(TENANT)
                    await write(store, TENANT, range(10))
                    kept = set(range(10))
                    if not careful:
                        until(lambda: link.exists(f"larimar:{{{TENANT}}}:meta") == 1)
                    link.execute_command("REPLICAOF", "NO", "ONE")
                    for n in range(10, 10 + (1 if careful else after)):
                        try:
                            await write(store, TENANT, [n])
                            kept.add(n)
                        except errors.DurabilityUnconfirmed:
                            pass
                    assert await held(store, TENANT) >= kept  # in its cache
                    way.turn(replica.port)
                    return await _after(store, replica.port, kept)
                finally:
                    await store.close()


def _follows(info: Mapping[str, Any]) -> bool:
    """Whether a replica has all, its append-only file included: it can confirm."""
    rewriting = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
    return info["master_link_status"] == "up" and not rewriting


async def _after(store: RedisStore, port: int, kept: set[int]) -> int:
    promoted = RedisStore(connect(f"redis://127.0.0.1:{port}"), SPEC)
    try:
        there = await held(promoted, TENANT)
        assert await held(store, TENANT) == there
        await write(promoted, TENANT, [99])  # at a version that was seen before
        assert await held(store, TENANT) == await held(promoted, TENANT) == there | {99}
    finally:
        await promoted.close()
    return len(kept - there)
