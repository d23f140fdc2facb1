"""What an erase leaves of a fact in Redis' live keys, in an RDB saved and in an append-only file
rewritten after: nothing.

Its id alone stays, in the outcome of the change, which is kept for a day so that a resend is
answered the same.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from benchmarks.servers import server, until
from memory_store.changes import REMEMBER_CLIENT
from memory_store.cue import digest
from memory_store.documents import chunk_id
from memory_store.embedded import EmbeddedValkey
from memory_store.redis_store import RedisStore, connect
from memory_store.store import Document, Fact, Policy
from tests.contract.conftest import later, request
from tests.contract.test_snapshot import save
from tests.unit.memory_store.facts import SMALL, fact

pytestmark = pytest.mark.anyio
KEPT = fact(2, text="kept")
HIDDEN = fact(
    1, id="hidden-id", prompt="hidden prompt", target="hidden target", text="hidden text",
    metadata={"hidden name": "hidden value"},
)  # fmt: skip
BOOK = Document("hidden-book", "hidden-digest", chunks=1, chunks_done=0, created_at=1.0)
WAYS: dict[str, dict[str, Any]] = {  # how a fact goes, and what it has to be for that
    "by id": {},
    "by cue": {},
    "replaced": {},
    "expired": {"expires_at": time.time() - 5},
    "document": {},
    "suppression": {"kind": "suppression"},
    "import": {},
    "tenant": {},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey whose RDB says in plain bytes what it holds."""
    with server(tmp_path_factory.mktemp("plain"), rdbcompression="no") as valkey:
        yield f"redis://127.0.0.1:{valkey.port}"


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    async with connect(url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def store(url: str, redis: Redis) -> AsyncIterator[RedisStore]:
    made = RedisStore(connect(url), SMALL)
    yield made
    await made.close()


@pytest.mark.parametrize("policy", ["grow", "fixed"])
@pytest.mark.parametrize("way", WAYS)
async def test_what_is_erased_is_in_no_key_and_no_rdb(
    store: RedisStore, redis: Redis, tmp_path: Path, way: str, policy: Policy
) -> None:
    await store.create_tenant("acme", policy=policy)
    await store.write("acme", [KEPT], request("key", "body"))
    before = await save(store, "acme", tmp_path / "before.safetensors")
    hidden = await write(store, way)
    traces = [*texts(hidden), *vectors(hidden)]
    if fixed := (await store.view("acme")).fixed:
        traces.append(fixed.cross.tobytes())
    if way not in ("replaced", "document"):  # of the same cue; of none
        traces.append(digest(hidden.cue).encode())
    id = (hidden.id or "").encode()
    places = await everywhere(redis)
    for trace in (*vectors(KEPT), *traces, id):
        assert found(trace, places) > {"rdb"}

    await erase(store, hidden, way, before)
    places = await everywhere(redis)
    assert not any(found(trace, places) for trace in traces)
    assert found(id, places) <= {"idem", "rdb"}
    for trace in vectors(KEPT):
        assert ("rdb" in found(trace, places)) is (way != "tenant")
    if way != "tenant":
        await later(redis, "acme", REMEMBER_CLIENT)
        assert [change async for change in store.sweep("acme")] == []
    assert not found(id, await everywhere(redis))


async def test_what_is_erased_is_in_no_append_only_file_rewritten_after(tmp_path: Path) -> None:
    """The embedded Valkey's. (docs/operations/backup.md)"""

    def on_disk() -> dict[str, bytes]:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}

    valkey, traces = EmbeddedValkey(tmp_path), [*texts(HIDDEN), *vectors(HIDDEN)]
    store = RedisStore(connect(valkey.start()), SMALL)
    try:
        await store.create_tenant("acme")
        await store.write("acme", [KEPT, HIDDEN], request())
        await store.forget("acme", request(), cues=[HIDDEN.cue])
        assert all(found(trace, on_disk()) for trace in traces)
        async with connect(valkey.url) as admin:
            await admin.config_set("rdbcompression", "no")
            await admin.bgrewriteaof()
        until(lambda: not any((tmp_path / "appendonlydir").glob("*.1.*")))  # the old files
        assert not any(found(trace, on_disk()) for trace in traces)
        assert all(found(trace, on_disk()) for trace in vectors(KEPT))
    finally:
        await store.close()
        valkey.stop()


async def write(store: RedisStore, way: str) -> Fact:
    """The hidden fact, as it is stored."""
    if way == "document":
        await store.write_chunks("acme", BOOK, [HIDDEN], request("write", "body"))
        return replace(HIDDEN, id=chunk_id(BOOK.id, 0), document_id=BOOK.id)
    hidden = replace(HIDDEN, **WAYS[way])
    await store.write("acme", [hidden], request("write", "body"))
    return hidden


async def erase(store: RedisStore, hidden: Fact, way: str, before: Path) -> None:
    change = request("erase", "body")
    match way:
        case "by cue":
            await store.forget("acme", change, cues=[hidden.cue])
        case "replaced":
            await store.write("acme", [fact(3, cue=hidden.cue)], change)
        case "expired":
            assert len([swept async for swept in store.sweep("acme")]) == 1
        case "document":
            assert len([part async for part in store.forget_document("acme", BOOK.id, change)]) == 1
        case "import":
            await store.import_snapshot("acme", before, change)
        case "tenant":
            await store.delete_tenant("acme")
        case _:
            await store.forget("acme", change, ids=[hidden.id or ""])


def texts(one: Fact) -> list[bytes]:
    said = [
        one.prompt,
        one.target,
        one.text,
        one.document_id,
        *one.metadata,
        *one.metadata.values(),
    ]
    return [text.encode() for text in said if text]


def vectors(one: Fact) -> list[bytes]:
    return [vector.astype("<f2").tobytes() for vector in (one.address, one.latent)]


async def everywhere(redis: Any) -> dict[str, bytes]:
    """All that Redis holds, by the last part of the key; and an RDB saved now."""
    places: dict[str, bytes] = {}
    async for key in redis.scan_iter():
        name = key.decode().split(":", 3)[-1]
        places[name] = places.get(name, b"") + await contents(redis, key)
    await redis.save()
    folder = (await redis.config_get("dir"))["dir"]
    return places | {"rdb": (Path(folder) / "dump.rdb").read_bytes()}


def found(trace: bytes, places: dict[str, bytes]) -> set[str]:
    return {name for name, held in places.items() if trace in held}


async def contents(redis: Any, key: bytes) -> bytes:
    """Everything a key holds, of whatever type, as plain bytes."""
    parts: list[bytes]
    match await redis.type(key):
        case b"string":
            parts = [await redis.get(key)]
        case b"hash":
            parts = [part for pair in (await redis.hgetall(key)).items() for part in pair]
        case b"list":
            parts = await redis.lrange(key, 0, -1)
        case b"set":
            parts = list(await redis.smembers(key))
        case b"zset":
            parts = await redis.zrange(key, 0, -1)
        case other:
            raise AssertionError(other)
    return b"".join(parts)
