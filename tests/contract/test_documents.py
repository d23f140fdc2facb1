"""Documents: written in batches, resumed where they stopped, forgotten as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory_store import errors
from memory_store.redis_store import RedisStore
from memory_store.store import Change, ChangeRequest, Document
from tests.contract.conftest import MakeStore, request
from tests.unit.memory_store.facts import fact

pytestmark = pytest.mark.anyio
BOOK = Document("book", "digest", chunks=5, chunks_done=0, created_at=1.0)
CHUNKS = [fact(n, prompt=None, target=None, text=f"Sentence {n}.") for n in range(5)]


async def test_written_in_batches_it_becomes_complete(store: RedisStore, tenant: str) -> None:
    partial, _ = await store.write_chunks(tenant, BOOK, CHUNKS[:2], request())
    assert (partial.status, partial.chunks_done) == ("partial", 2)
    assert await store.documents(tenant) == [partial]
    done, change = await store.write_chunks(tenant, partial, CHUNKS[2:], request())
    assert done.status == "complete"
    assert (await store.tenant(tenant)).chunks == 5
    record = await store.record(tenant, change.results[-1].id)
    assert (record.kind, record.document_id, record.text) == ("chunk", "book", "Sentence 4.")


async def test_chunks_with_equal_text_are_all_kept(store: RedisStore, tenant: str) -> None:
    await store.write(tenant, [CHUNKS[0]], request())
    await store.write_chunks(tenant, BOOK, [CHUNKS[0]] * 5, request())
    info = await store.tenant(tenant)
    assert (info.facts, info.chunks) == (1, 5)


async def test_a_worker_resumes_what_another_began(make_store: MakeStore, tenant: str) -> None:
    await make_store().write_chunks(tenant, BOOK, CHUNKS[:3], request())
    other = make_store()
    found = await other.document(tenant, "book")
    done, _ = await other.write_chunks(tenant, found, CHUNKS[3:], request())
    assert done.status == "complete"


async def test_another_text_or_another_place_is_a_conflict(store: RedisStore, tenant: str) -> None:
    partial, _ = await store.write_chunks(tenant, BOOK, CHUNKS[:2], request())
    for wrong in (replace(partial, digest="other"), BOOK, replace(partial, chunks_done=3)):
        with pytest.raises(errors.DocumentConflict):
            await store.write_chunks(tenant, wrong, CHUNKS[:1], request())
    with pytest.raises(ValueError, match="5 chunks"):
        await store.write_chunks(tenant, partial, CHUNKS[:4], request())
    assert (await store.tenant(tenant)).version == 1


async def test_it_is_forgotten_as_one(
    store: RedisStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_store.documents.BATCH", 2)
    await store.write_chunks(tenant, BOOK, CHUNKS, request())
    await store.write(tenant, [fact(9)], request())
    changes = await forgotten(store, tenant, request("key", "body"))
    assert [r.status for change in changes for r in change.results] == ["erased"] * 5
    assert [change.version for change in changes] == [3, 4, 5]
    assert (await store.tenant(tenant)).chunks == 0
    assert len((await store.view(tenant)).latents()) == 1
    assert await store.documents(tenant) == []
    with pytest.raises(errors.DocumentNotFound):
        await store.document(tenant, "book")
    with pytest.raises(errors.DocumentNotFound):
        await forgotten(store, tenant, request())
    again = await forgotten(store, tenant, request("key", "body"))
    assert again == [replace(change, replayed=True) for change in changes]
    with pytest.raises(errors.IdempotencyKeyReused):
        await forgotten(store, tenant, request("key", "another"))


async def forgotten(store: RedisStore, tenant: str, request: ChangeRequest) -> list[Change]:
    return [change async for change in store.forget_document(tenant, "book", request)]


async def test_forgetting_cut_short_leaves_a_shorter_document(
    store: RedisStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_store.documents.BATCH", 2)
    await store.write_chunks(tenant, BOOK, CHUNKS, request())
    erase, calls = store._changes.run, []

    async def fails_on_the_second(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise errors.StoreUnavailable("away")
        return await erase(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store._changes, "run", fails_on_the_second)
    with pytest.raises(errors.StoreUnavailable):
        await forgotten(store, tenant, request("key", "body"))
    monkeypatch.setattr(store._changes, "run", erase)
    left = await store.document(tenant, "book")
    assert (left.chunks_done, left.status) == (4, "partial")
    assert (await store.tenant(tenant)).chunks == 4
    changes = await forgotten(store, tenant, request("key", "body"))
    assert [(len(c.results), c.replayed) for c in changes] == [(1, True), (2, False), (2, False)]


async def test_what_forgetting_left_can_be_written_on(
    store: RedisStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_store.documents.BATCH", 2)
    await store.write_chunks(tenant, BOOK, CHUNKS, request())
    await anext(store.forget_document(tenant, "book", request()))
    left = await store.document(tenant, "book")
    assert (await store.write_chunks(tenant, left, CHUNKS[4:], request()))[0].status == "complete"


async def test_a_tenant_that_is_not_there(store: RedisStore) -> None:
    for call in (
        store.documents("absent"),
        store.document("absent", "book"),
        store.write_chunks("absent", BOOK, CHUNKS, request()),
        forgotten(store, "absent", request()),
    ):
        with pytest.raises(errors.TenantNotFound):
            await call
