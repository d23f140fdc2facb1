"""Short forms of the proofs in benchmarks/memory_proofs.py, and what an erase leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from benchmarks import memory_proofs
from memory_store.redis_store import RedisStore
from tests.contract.conftest import request
from tests.contract.servers import client, server
from tests.unit.memory_store.facts import SMALL, fact

pytestmark = pytest.mark.anyio


async def test_four_processes_lose_nothing_and_double_nothing(valkey: str) -> None:
    assert (await memory_proofs.conflicts(valkey, 200))["changes"] >= 50


async def test_killed_at_random_moments_everything_acknowledged_is_there(tmp_path: Path) -> None:
    assert (await memory_proofs.kills(tmp_path, rounds=5))["facts"] > 0


async def test_a_random_life_reads_like_its_survivors(valkey: str) -> None:
    assert (await memory_proofs.life(valkey, 120))["survivors"] > 0


async def test_an_erased_fact_is_in_no_rdb_saved_after(tmp_path: Path) -> None:
    config = {"rdbcompression": "no", "appendonly": "no"}
    with server(tmp_path, **config) as valkey:
        store = RedisStore(Redis(host="127.0.0.1", port=valkey.port), SMALL)
        try:
            await store.create_tenant("acme")
            await store.write("acme", [fact(1, text="secret"), fact(2, text="public")], request())
            await store.forget("acme", request(), cues=[fact(1).cue])
        finally:
            await store.close()
        with client(valkey) as admin:
            admin.save()
        saved = (tmp_path / "dump.rdb").read_bytes()
    kept, gone = (f.latent.astype("<f2").tobytes() for f in (fact(2), fact(1)))
    assert b"public" in saved
    assert kept in saved
    assert b"secret" not in saved
    assert gone not in saved
