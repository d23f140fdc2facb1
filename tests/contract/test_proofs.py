"""Short forms of the proofs that `make proof` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import memory_outages, memory_proofs

pytestmark = pytest.mark.anyio


async def test_four_processes_lose_nothing_and_double_nothing(valkey: str) -> None:
    assert (await memory_proofs.conflicts(valkey, 200))["changes"] >= 50


async def test_killed_at_random_moments_everything_acknowledged_is_there(tmp_path: Path) -> None:
    assert (await memory_proofs.kills(tmp_path, rounds=5))["facts"] > 0


async def test_a_random_life_reads_like_its_survivors(valkey: str) -> None:
    assert (await memory_proofs.life(valkey, 120))["survivors"] > 0


async def test_valkey_away_under_load(tmp_path: Path) -> None:
    assert (await memory_outages.away(tmp_path, 0.3))["acknowledged"] > 1


async def test_writers_that_meet_maxmemory(tmp_path: Path) -> None:
    assert (await memory_outages.full(tmp_path))["facts when full"] > 500


async def test_any_flipped_bit_is_noticed(valkey: str) -> None:
    assert (await memory_outages.flipped(valkey, 8))["noticed"] == 8


async def test_tenants_never_meet(valkey: str) -> None:
    assert (await memory_outages.apart(valkey, 100))["changes"] == 100


async def test_failovers_lose_nothing_that_was_waited_for(tmp_path: Path) -> None:
    assert (await memory_outages.failovers(tmp_path, 1))["rounds"] == 1
