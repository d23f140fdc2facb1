"""Snapshots: what goes out comes in the same; what is not sound changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from safetensors.numpy import save_file

from memory_store import errors
from memory_store.documents import chunk_id
from memory_store.filling import new_epoch
from memory_store.pages import Layout
from memory_store.redis_store import RedisStore
from memory_store.rows import pack, record_bytes
from memory_store.snapshot import FACT_FIELDS, Snapshot
from memory_store.store import Document
from tests.contract.conftest import MakeStore, request
from tests.unit.memory_store.facts import SMALL, assert_same, clustered, fact, facts_at, near, unit

pytestmark = pytest.mark.anyio
QUERIES = np.concatenate([clustered(20, 16, 0.9), near(clustered(20, 16, 0.9))])


async def fill(store: RedisStore, tenant: str) -> None:
    facts = facts_at(clustered(20, 16, 0.9), SMALL)
    await store.write(tenant, facts, request())
    await store.forget(tenant, request(), cues=[facts[0].cue])
    extra = [
        fact(50, id="s", kind="suppression"),
        fact(51, id="t", metadata={"k": [1]}, expires_at=time.time() + 1000),
        fact(2, address=facts[2].address, target="newer"),
    ]
    await store.write(tenant, extra, request())
    book = Document("book", "digest", chunks=3, chunks_done=0, created_at=1.0)
    await store.write_chunks(tenant, book, [fact(60, text="a"), fact(60, text="b")], request())


async def save(store: RedisStore, tenant: str, path: Path) -> Path:
    pieces = [piece async for piece in store.export_snapshot(tenant)]
    await asyncio.to_thread(path.write_bytes, b"".join(pieces))
    return path


async def everything(store: RedisStore, tenant: str) -> tuple[Any, ...]:
    info = await store.tenant(tenant)
    counts = (info.facts, info.suppressions, info.chunks, info.bytes, info.policy)
    records = sorted((await store.records(tenant))[0], key=lambda record: record.id)
    return counts, records, await store.documents(tenant)


@pytest.mark.parametrize("policy", ["grow", "fixed"])
async def test_what_goes_out_comes_in_the_same(
    make_store: MakeStore, store: RedisStore, tenant: str, other_tenant: str, tmp_path: Path,
    policy: Any,
) -> None:  # fmt: skip
    await store.create_tenant(tenant, policy=policy)
    await fill(store, tenant)
    await store.write(other_tenant, [fact(77), fact(78)], request())
    reader = make_store()
    await reader.memory(other_tenant)
    path = await save(store, tenant, tmp_path / "a.safetensors")
    change = await store.import_snapshot(other_tenant, path, request())
    assert change.version == 2
    for worker in (store, reader):
        mine, theirs = await worker.memory(tenant), await worker.memory(other_tenant)
        one, other = mine.read(QUERIES), theirs.read(QUERIES)
        assert one.ids == other.ids
        assert one.latent == pytest.approx(other.latent, abs=1e-6)
        if policy == "grow":
            assert_same(one, other)
    assert await everything(store, other_tenant) == await everything(store, tenant)


async def test_life_goes_on_after_an_import(
    store: RedisStore, tenant: str, other_tenant: str, tmp_path: Path
) -> None:
    """Cues, ids, documents and expiry are indexed as if written one by one."""
    await fill(store, tenant)
    path = await save(store, tenant, tmp_path / "a.safetensors")
    await store.import_snapshot(other_tenant, path, request())
    cue = fact(3).cue
    assert (await store.write(other_tenant, [fact(3)], request())).results[0].status == "replaced"
    assert (await store.forget(other_tenant, request(), cues=[cue])).results[0].status == "erased"
    assert (await store.write(other_tenant, [fact(99)], request())).results[0].status == "written"
    book = await store.document(other_tenant, "book")
    await store.write_chunks(other_tenant, book, [fact(60, text="c")], request())
    assert [_ async for _ in store.forget_document(other_tenant, "book", request())]
    info = await store.tenant(other_tenant)
    assert (info.facts, info.chunks) == (20, 0)


async def test_a_client_can_author_one(store: RedisStore, tenant: str, tmp_path: Path) -> None:
    keys = clustered(3, 16, 0.5).astype(np.float16)
    lines = [
        {"id": f"mine-{n}", "kind": "fact", "prompt": f"Cue {n}", "target": "x"} for n in range(3)
    ]
    write_file(
        tmp_path / "mine.safetensors",
        keys=keys,
        latents=np.ones((3, 8), np.float16),
        records=as_bytes("".join(json.dumps(line) + "\n" for line in lines)),
        documents=as_bytes(""),
    )
    await store.import_snapshot(tenant, tmp_path / "mine.safetensors", request())
    readout = (await store.memory(tenant)).read(keys.astype(np.float32))
    assert [ids[0] for ids in readout.ids] == ["mine-0", "mine-1", "mine-2"]
    change = await store.forget(tenant, request(), cues=["  CUE 1"])
    assert change.results[0].id == "mine-1"


async def test_a_document_whose_chunks_went_one_by_one_stays_behind(
    store: RedisStore, tenant: str, other_tenant: str, tmp_path: Path
) -> None:
    await fill(store, tenant)
    chunks = [chunk_id("book", n) for n in range(2)]
    for left, id in zip((["book"], []), chunks, strict=True):
        await store.forget(tenant, request(), ids=[id])
        path = await save(store, tenant, tmp_path / "a.safetensors")
        await store.import_snapshot(other_tenant, path, request())
        assert [document.id for document in await store.documents(other_tenant)] == left


def as_bytes(text: str) -> Any:
    return np.frombuffer(text.encode(), np.uint8)


def write_file(path: Path, meta: dict[str, str] | None = None, **tensors: Any) -> None:
    """A file whose checksum is right whatever it holds."""
    save_file(tensors, path)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    fixed = {"format": "larimar-snapshot-1", "fingerprint": "test", "policy": "grow"}
    fixed |= {"version": "1", "sha256": hashlib.sha256(data[start:]).hexdigest()}
    save_file(tensors, path, metadata=fixed | (meta or {}))


def tensors(**changes: Any) -> dict[str, Any]:
    two = '{"id":"a","kind":"fact","text":"x"}\n{"id":"b","kind":"fact","text":"y"}\n'
    sound = {
        "keys": unit(np.eye(2, 16, dtype=np.float32)).astype(np.float16),
        "latents": np.ones((2, 8), np.float16),
        "records": as_bytes(two),
        "documents": as_bytes(""),
    }
    return sound | changes


def records(*lines: Any) -> dict[str, Any]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    return tensors(records=as_bytes(text))


def documents(**changes: Any) -> dict[str, Any]:
    """One, and its chunk."""
    made = {"id": "d", "digest": "x", "chunks": 2, "chunks_done": 1, "created_at": 1} | changes
    rows = records(A, B | {"kind": "chunk", "document_id": made["id"]})
    return rows | {"documents": as_bytes(json.dumps(made) + "\n")}


A, B = {"id": "a", "kind": "fact", "text": "x"}, {"id": "b", "kind": "fact", "text": "y"}
LONE = "\ud800"  # half of a character: JSON can say it, UTF-8 cannot
BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "nan latent": lambda: tensors(latents=np.full((2, 8), np.nan, np.float16)),
    "infinite latent": lambda: tensors(latents=np.full((2, 8), np.inf, np.float16)),
    "nan key": lambda: tensors(keys=np.full((2, 16), np.nan, np.float16)),
    "key not of unit length": lambda: tensors(keys=np.ones((2, 16), np.float16)),
    "wider keys": lambda: tensors(keys=np.eye(2, 17, dtype=np.float16)),
    "float32": lambda: tensors(latents=np.ones((2, 8), np.float32)),
    "fewer rows": lambda: tensors(latents=np.ones((1, 8), np.float16)),
    "another tensor": lambda: tensors(more=np.ones(1)),
    "no line end": lambda: tensors(records=as_bytes('{"id":"a","kind":"fact"}')),
    "not json": lambda: records("{", B),
    "not an object": lambda: records([1], B),
    "deep json": lambda: records("[" * 100_000, B),
    "no id": lambda: records({"kind": "fact"}, B),
    "bad id": lambda: records(A | {"id": "a b"}, B),
    "bad kind": lambda: records(A | {"kind": "other"}, B),
    "kind is a list": lambda: records(A | {"kind": []}, B),
    "a time no float holds": lambda: records(A | {"created_at": 10**400}, B),
    "half a character in a text": lambda: records(A | {"text": LONE}, B),
    "half a character in metadata": lambda: records(A | {"metadata": {"k": LONE}}, B),
    "half a character in a document's name": lambda: records(A | {"document_id": LONE}, B),
    "prompt without target": lambda: records(A | {"prompt": "x"}, B),
    "target without prompt": lambda: records(A | {"target": "x"}, B),
    "nothing said": lambda: records({"id": "a", "kind": "fact"}, B),
    "bad text": lambda: records(A | {"text": 1}, B),
    "bad metadata": lambda: records(A | {"metadata": []}, B),
    "bad expiry": lambda: records(A | {"expires_at": True}, B),
    "bad cue": lambda: records(A | {"cue": "zz"}, B),
    "the same id twice": lambda: records(A, B | {"id": "a"}),
    "the same cue twice": lambda: records(A, B | {"text": " X"}),
    "bad document": lambda: tensors(documents=as_bytes('{"id":1}\n')),
    "document without a chunk": lambda: documents() | {"records": records(A, B)["records"]},
    "document done twice": lambda: documents(chunks_done=3),
    "document with half a character": lambda: documents(id=LONE),
    "document of a time no float holds": lambda: documents(created_at=10**400),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_sound_changes_nothing(
    store: RedisStore, tenant: str, tmp_path: Path, name: str
) -> None:
    await store.write(tenant, [fact(1)], request())
    before = await store.tenant(tenant)
    write_file(tmp_path / "bad.safetensors", **BAD[name]())
    with pytest.raises(errors.SnapshotInvalid, match=r"."):
        await store.import_snapshot(tenant, tmp_path / "bad.safetensors", request())
    assert await store.tenant(tenant) == before


async def test_a_foreign_or_unmarked_file_is_refused(
    store: RedisStore, tenant: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.safetensors"
    write_file(path, {"fingerprint": "another checkpoint"}, **tensors())
    with pytest.raises(errors.CheckpointMismatch):
        await store.import_snapshot(tenant, path, request())
    for meta in ({"format": "x"}, {"policy": "other"}, {"sha256": "0" * 64}):
        write_file(path, meta, **tensors())
        with pytest.raises(errors.SnapshotInvalid):
            await store.import_snapshot(tenant, path, request())
    save_file(tensors(), path)
    with pytest.raises(errors.SnapshotInvalid):
        await store.import_snapshot(tenant, path, request())
    path.write_bytes(b"")
    with pytest.raises(errors.SnapshotInvalid):
        await store.import_snapshot(tenant, path, request())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.safetensors"
    write_file(path, **tensors())
    assert Snapshot(path, SMALL).n == 2
    return path


def damaged(whole: bytes, how: str, rng: random.Random) -> bytes:
    """Cut, lengthened, or with up to four bytes changed in its header or in what follows."""
    if how == "cut":
        return whole[: rng.randrange(len(whole))]
    if how == "longer":
        return whole + rng.randbytes(rng.randint(1, 20))
    body = 8 + int.from_bytes(whole[:8], "little")
    places = range(body) if how == "header" else range(body, len(whole))
    changed = bytearray(whole)
    for at in rng.sample(places, rng.randint(1, 4)):
        changed[at] ^= rng.randint(1, 255)
    return bytes(changed)


@pytest.mark.parametrize("how", ["header", "body", "cut", "longer"])
async def test_a_damaged_file_is_refused_with_a_reason_and_changes_nothing(
    store: RedisStore, tenant: str, other_tenant: str, tmp_path: Path, how: str
) -> None:
    """Damage to what carries no meaning, as the header's white space, may pass: then whole."""
    await fill(store, tenant)
    path, rng = tmp_path / "damaged.safetensors", random.Random(how)
    whole = b"".join([piece async for piece in store.export_snapshot(tenant)])
    sound = await everything(store, tenant)
    for _ in range(150):
        path.write_bytes(damaged(whole, how, rng))
        before = await store.tenant(other_tenant), await everything(store, other_tenant)
        refused: errors.StoreError | None = None
        try:
            await store.import_snapshot(other_tenant, path, request())
        except (errors.SnapshotInvalid, errors.CheckpointMismatch) as error:
            refused = error
        after = await store.tenant(other_tenant), await everything(store, other_tenant)
        if refused:
            assert str(refused)
            assert after == before
        else:
            assert (how, after[1]) == ("header", sound)


FIELDS = (*FACT_FIELDS, "created_at", "cue")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(LONE),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(JSON, st.sampled_from(FIELDS), st.sampled_from(Document.__slots__))
def test_any_value_is_refused_or_can_be_stored(
    sound: Path, value: Any, field: str, of_document: str
) -> None:
    path = sound.with_name("valued.safetensors")
    for made in (records(A | {field: value}, B), documents(**{of_document: value})):
        write_file(path, **made)
        try:
            read = Snapshot(path, SMALL)
        except errors.SnapshotInvalid:
            continue
        for item in (item for batch in read.batches() for item in batch):
            fact, entry = item.fact, item.entry
            pack(Layout(SMALL), fact, entry.id, 1)
            record_bytes(fact, entry.id, entry.cue, item.created_at)
        assert all(document.id.encode() for document in read.documents)


async def test_quota_and_version_hold_for_imports(
    store: RedisStore, tenant: str, sound: Path
) -> None:
    await store.create_tenant(tenant, quota_facts=1)
    with pytest.raises(errors.QuotaExceeded):
        await store.import_snapshot(tenant, sound, request())
    await store.create_tenant(tenant, quota_facts=2)
    with pytest.raises(errors.VersionConflict):
        await store.import_snapshot(tenant, sound, request(version=5))
    change = await store.import_snapshot(tenant, sound, request("import", "body", version=0))
    again = await store.import_snapshot(tenant, sound, request("import", "body", version=0))
    assert (change.version, again.version, again.replayed) == (1, 1, True)
    with pytest.raises(errors.IdempotencyKeyReused):
        await store.import_snapshot(tenant, sound, request("import", "another"))


async def test_an_import_cut_short_is_not_seen_and_leaves_nothing(
    store: RedisStore, tenant: str, sound: Path, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(tenant, [fact(1)], request())
    run = store._scripts.run

    async def no_swap(name: Any, *args: Any) -> list[Any]:
        if name in ("swap", "abandon"):  # as if the process died
            raise errors.StoreUnavailable("away")
        return await run(name, *args)

    monkeypatch.setattr(store._scripts, "run", no_swap)
    for _ in range(2):
        with pytest.raises(errors.StoreUnavailable):
            await store.import_snapshot(tenant, sound, request())
    monkeypatch.undo()
    assert (await store.tenant(tenant)).version == 1
    assert len((await store.view(tenant)).latents()) == 1
    async with Redis.from_url(valkey) as client:
        epochs = {key.split(b":")[2] async for key in client.scan_iter(f"*{{{tenant}}}:*:page:*")}
        assert len(epochs) == 2
        await store.import_snapshot(tenant, sound, request())
        epochs = {key.split(b":")[2] async for key in client.scan_iter(f"*{{{tenant}}}:*:*")}
        assert len(epochs) == 1
        await store.delete_tenant(tenant)
        assert [key async for key in client.scan_iter(f"*{{{tenant}}}*")] == []


@pytest.mark.parametrize("late", [False, True])
async def test_an_import_whose_begin_arrives_twice_loses_nothing(
    store: RedisStore, tenant: str, sound: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Between the filling and the swap, or after it, when the next import lets go of what is
    unfinished."""
    run, calls = store._scripts.run, dict[str, list[Any]]()

    async def again(name: Any, *args: Any) -> list[Any]:
        calls[name] = [name, *args]
        if name == "swap" and not late:
            await run(*calls["begin"])
        reply = await run(name, *args)
        if name == "swap" and late:
            await run(*calls["begin"])
        return reply

    monkeypatch.setattr(store._scripts, "run", again)
    await store.import_snapshot(tenant, sound, request())
    async with new_epoch(store._scripts, tenant, 0):
        assert len((await store.view(tenant)).latents()) == 2
        assert len((await store.records(tenant))[0]) == 2


async def test_an_export_under_writes_is_of_one_version(
    make_store: MakeStore, store: RedisStore, tenant: str, tmp_path: Path
) -> None:
    """Rows and records agree: every latent tells the version its record tells."""
    writer = make_store()
    done = asyncio.Event()

    def made(number: int, version: int) -> Any:
        return fact(number, latent=np.full(8, version, np.float32), target=str(version))

    async def keep_writing() -> None:
        version = 1
        while not done.is_set():
            await writer.write(tenant, [made(n, version) for n in range(10)], request())
            version = version % 500 + 1

    await writer.write(tenant, [made(n, 1) for n in range(10)], request())
    writing = asyncio.create_task(keep_writing())
    try:
        for n in range(5):
            path = await save(store, tenant, tmp_path / f"{n}.safetensors")
            items = [item for batch in Snapshot(path, SMALL).batches() for item in batch]
            assert len(items) == 10
            told = {(item.fact.target, str(int(item.fact.latent[0]))) for item in items}
            assert len(told) == 1
            assert all(target == latent for target, latent in told)
    finally:
        done.set()
        await writing
