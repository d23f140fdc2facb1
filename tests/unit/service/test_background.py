"""Blocking work neither blocks the loop nor outlives anyone's patience."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.background import in_daemon


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_result_comes_back() -> None:
    assert await in_daemon(lambda: threading.current_thread().daemon) is True


@pytest.mark.anyio
async def test_a_failure_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_daemon(lambda: 1 // 0)


def test_a_loop_closes_while_work_goes_on() -> None:
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        release.wait()
        ended.set()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_daemon(work), 0.01)

    asyncio.run(give_up())  # with to_thread this would wait for the work
    assert not ended.is_set()
    release.set()
    assert ended.wait(10)
