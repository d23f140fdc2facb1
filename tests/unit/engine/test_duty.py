"""Batches of many calls' items: budgets, turns, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest
import torch

from memory_store.errors import StoreUnavailable
from service.engine.duty import Duty
from service.engine.intake import Job
from service.engine.memory_limits import exhausted
from service.engine.protocol import OutOfMemory

BUDGET = 100


class Work:
    """Doubles numbers, and keeps the batches that it saw."""

    def __init__(self, room: int = 10_000) -> None:
        self.room, self.batches = room, list[list[int]]()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        if sum(items) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * item for item in items]


def call(duty: Duty[int, int], tenant: str, items: list[int]) -> Job:
    """A call whose items are their own lengths."""
    job = Job("encode", tenant, items)
    duty.add(job, items, items, job.done.set_result)
    return job


def all_of(duty: Duty[int, int]) -> None:
    while len(duty):
        duty.serve()


def test_results_come_back_in_the_call_s_order() -> None:
    duty = Duty(Work(), BUDGET)
    one, other, nothing = call(duty, "a", [9, 1, 5]), call(duty, "b", [7, 2]), call(duty, "c", [])
    all_of(duty)
    assert one.done.result() == [18, 2, 10]
    assert other.done.result() == [14, 4]
    assert nothing.done.result() == []


def test_a_batch_keeps_its_budget_and_similar_lengths_together() -> None:
    work = Work()
    duty = Duty(work, BUDGET)
    call(duty, "a", [30, 1] * 20)
    all_of(duty)
    assert all(max(batch) * len(batch) <= BUDGET for batch in work.batches)
    assert sum(map(len, work.batches)) == 40
    mixed = [batch for batch in work.batches if len(set(batch)) > 1]
    assert len(mixed) <= 1


def test_an_item_above_the_budget_is_a_batch_of_its_own() -> None:
    work = Work()
    duty = Duty(work, BUDGET)
    call(duty, "a", [500, 3])
    all_of(duty)
    assert [3] in work.batches
    assert [500] in work.batches


def test_a_small_call_does_not_wait_for_a_large_one() -> None:
    work = Work()
    duty = Duty(work, BUDGET)
    large, small = call(duty, "a", [10] * 200), call(duty, "b", [10])
    duty.serve()
    assert small.done.done()
    assert not large.done.done()
    all_of(duty)
    assert len(large.done.result()) == 200


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    work = Work(room=25)
    duty = Duty(work, BUDGET)
    job = call(duty, "a", [10] * 8)
    all_of(duty)
    assert job.done.result() == [20] * 8
    assert min(map(len, work.batches)) == 2


def test_only_the_call_that_does_not_fit_fails() -> None:
    duty = Duty(Work(room=25), BUDGET)
    small, large = call(duty, "a", [5, 6]), call(duty, "b", [7, 40])
    all_of(duty)
    assert small.done.result() == [10, 12]
    with pytest.raises(OutOfMemory):
        large.done.result()


def test_what_nobody_waits_for_is_not_worked_on() -> None:
    work = Work()
    duty = Duty(work, BUDGET)
    job = call(duty, "a", [10] * 50)
    duty.serve()
    job.given_up = True
    duty.serve()
    assert len(duty) == 0
    assert len(work.batches) == 1
    assert not job.done.done()


def test_other_errors_are_not_taken_for_missing_memory() -> None:
    assert exhausted(MemoryError())
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 50)
    assert exhausted(error.value)
    assert not exhausted(RuntimeError("device lost"))
    assert not exhausted(ValueError("can't allocate memory"))


def poisoned(items: Sequence[int]) -> list[int]:
    if 13 in items:
        raise StoreUnavailable("Redis is away")
    return [2 * item for item in items]


def test_what_one_call_makes_fail_fails_no_other() -> None:
    duty = Duty(poisoned, BUDGET)
    calls = [call(duty, tenant, items) for tenant, items in
             (("a", [5, 6]), ("b", [4, 13]), ("b", [7]), ("c", [13]))]  # fmt: skip
    duty.serve()
    assert [calls[0].done.result(), calls[2].done.result()] == [[10, 12], [14]]
    for culprit in (calls[1], calls[3]):
        assert isinstance(culprit.done.exception(), StoreUnavailable)


def test_a_lost_device_is_nobody_s_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.synchronize", lost)
    duty = Duty(poisoned, BUDGET)
    job = call(duty, "a", [13])
    with pytest.raises(RuntimeError, match="CUDA error"):
        duty.serve()
    assert not job.done.done()


def steps(item: int) -> Generator[None, None, int]:
    for _ in range(3):
        if item == 666:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield
    return 2 * item


def test_an_item_above_the_budget_is_done_in_steps() -> None:
    """One such item at a time, and between its steps what does not take long."""
    work = Work()
    duty = Duty(work, BUDGET, steps)
    large, never = call(duty, "a", [500, 3]), call(duty, "c", [666])
    duty.serve()
    duty.serve()
    assert not large.done.done()
    small, next_one = call(duty, "b", [7]), call(duty, "d", [500])
    duty.serve()
    assert small.done.result() == [14]
    assert not large.done.done()
    all_of(duty)
    assert [large.done.result(), next_one.done.result()] == [[1000, 6], [1000]]
    assert isinstance(never.done.exception(), OutOfMemory)
    assert work.batches == [[3], [7]]


def test_an_item_that_nobody_waits_for_stops_between_its_steps() -> None:
    duty = Duty(Work(), BUDGET, steps)
    gone, other = call(duty, "a", [500]), call(duty, "b", [600])
    duty.serve()
    gone.given_up = True
    all_of(duty)
    assert not gone.done.done()
    assert other.done.result() == [1200]
