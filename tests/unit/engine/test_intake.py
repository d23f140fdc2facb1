"""The bounded queue: who is let in, who is told to come back, and that nobody is forgotten."""

from __future__ import annotations

import threading

import pytest

from service.engine.intake import ITEMS_A_ROW, LONGEST_WAIT, Intake, Job
from service.engine.protocol import EngineStopped, QueueFull, ScoreItem


def rows(tenant: str, count: int) -> Job:
    return Job("generate", tenant, [None] * count)


def fill(intake: Intake, tenant: str) -> int:
    """As much as this tenant is let have, one row at a time."""
    for n in range(1000):
        try:
            intake.put(rows(tenant, 1))
        except QueueFull:
            return n
    raise AssertionError("the queue has no bound")


def test_a_noisy_tenant_leaves_room_for_others() -> None:
    intake = Intake(60)
    assert fill(intake, "noisy") == 30
    assert fill(intake, "louder") == 15
    for tenant in ("a", "b", "c"):
        intake.put(rows(tenant, 3))
    with pytest.raises(QueueFull):
        intake.put(rows("noisy", 1))


def test_an_empty_queue_takes_a_call_of_any_size() -> None:
    intake = Intake(8)
    intake.put(rows("a", 64))
    with pytest.raises(QueueFull):
        intake.put(rows("b", 1))
    (job,) = intake.take(wait=False)
    intake.release("a", job.size)
    intake.put(rows("b", 1))
    assert intake.pending == 1


def test_facts_and_targets_weigh_less_than_rows() -> None:
    facts = Job("encode", "t", [None] * 1000)
    assert facts.size == -(-1000 // ITEMS_A_ROW)
    assert Job("read", "t", [None]).size == 1
    items = [ScoreItem("x", ("y",) * n) for n in (1, 16, 64)]
    assert Job("score", "t", items).size == 1 + 1 + 4


def test_who_is_refused_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("service.engine.intake.time.monotonic", lambda: clock[0])
    intake = Intake(10)
    assert fill(intake, "t") == 5
    clock[0] += 6
    intake.release("t", 2)  # two rows in six seconds, three to go
    for _ in range(2):
        intake.put(rows("t", 1))
    with pytest.raises(QueueFull) as refused:
        intake.put(rows("t", 1))
    assert refused.value.retry_after == 15
    clock[0] += 10_000
    with pytest.raises(QueueFull) as refused:
        intake.put(rows("t", 1))
    assert refused.value.retry_after == LONGEST_WAIT


def test_what_was_cancelled_before_it_was_taken_does_not_count() -> None:
    intake = Intake(10)
    kept, gone = rows("t", 1), rows("t", 2)
    intake.put(kept)
    intake.put(gone)
    assert gone.done.cancel()
    assert intake.take(wait=False) == [kept]
    assert intake.pending == 1


def test_the_thread_waits_for_work_and_for_the_end() -> None:
    intake = Intake(10)
    taken: list[list[Job]] = []

    def work() -> None:
        while not intake.stopping:
            taken.append(intake.take(wait=True))

    thread = threading.Thread(target=work)
    thread.start()
    job = rows("t", 1)
    intake.put(job)
    while not any(taken):
        pass
    intake.stop()
    thread.join()
    assert [job] in taken
    with pytest.raises(EngineStopped):
        intake.put(rows("t", 1))


def test_the_dead_hand_back_what_nobody_has_taken() -> None:
    intake = Intake(10)
    job = rows("t", 1)
    intake.put(job)
    assert intake.die() == [job]
    with pytest.raises(EngineStopped):
        intake.put(rows("t", 1))
