"""The states of a process, and what a drain waits for."""

from __future__ import annotations

import asyncio

import pytest

from service.engine.protocol import EngineStopped
from service.errors import Draining, Starting
from service.lifecycle import Lifecycle


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_each_state_says_whether_it_admits() -> None:
    lifecycle = Lifecycle()
    assert isinstance(lifecycle.refusal(), Starting)
    lifecycle.to("ready")
    assert lifecycle.refusal() is None
    lifecycle.to("draining")
    assert lifecycle.refusal() is None  # the balancer has not noticed yet
    lifecycle.admitting = False
    assert isinstance(lifecycle.refusal(), Draining)
    lifecycle.fail(OSError())
    assert isinstance(lifecycle.refusal(), EngineStopped)
    lifecycle.to("stopped")
    assert isinstance(lifecycle.ended(), Draining)


def test_there_is_no_way_back() -> None:
    lifecycle = Lifecycle()
    lifecycle.to("ready")
    lifecycle.to("draining")
    for state in ("ready", "starting"):
        with pytest.raises(ValueError, match="draining"):
            lifecycle.to(state)
    lifecycle.to("stopped")
    lifecycle.fail(OSError())
    assert (lifecycle.state, lifecycle.failure) == ("stopped", None)


@pytest.mark.anyio
async def test_a_drain_waits_for_what_is_in_progress() -> None:
    lifecycle = Lifecycle()
    lifecycle.to("ready")
    lifecycle.enter()
    lifecycle.enter()
    drain = asyncio.create_task(lifecycle.drain(0, 60))
    lifecycle.leave()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not drain.done()
    assert not lifecycle.admitting
    lifecycle.leave()
    await asyncio.wait_for(drain, 10)


@pytest.mark.anyio
async def test_a_drain_cuts_what_does_not_end() -> None:
    lifecycle = Lifecycle()
    lifecycle.to("ready")
    lifecycle.enter()

    async def stubborn() -> None:
        await lifecycle.cut.wait()
        lifecycle.leave()

    task = asyncio.create_task(stubborn())
    await asyncio.wait_for(lifecycle.drain(0, 0.01), 10)
    await asyncio.wait_for(task, 10)
