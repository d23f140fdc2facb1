"""However much one tenant sends, the others get their part."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.engine.fair import FORGET, FairQueue

Arrivals = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), min_size=1, max_size=60)


@given(Arrivals)
def test_a_tenant_s_items_leave_in_their_order(arrivals: list[tuple[str, int]]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, (tenant, cost) in enumerate(arrivals):
        queue.put(tenant, (tenant, number), cost)
    left = [queue.pop() for _ in range(len(queue))]
    for tenant in "abc":
        mine = [number for name, number in left if name == tenant]
        assert mine == sorted(mine)
    assert len(left) == len(arrivals)


@given(Arrivals)
def test_tenants_that_wait_get_equal_parts(arrivals: list[tuple[str, int]]) -> None:
    """While two tenants wait, what they were given differs by two of the dearest items at most."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for tenant, cost in arrivals:
        queue.put(tenant, (tenant, cost), cost)
    waiting, given_to = Counter(tenant for tenant, _ in arrivals), Counter[str]()
    while len(queue):
        tenant, cost = queue.pop()
        waiting[tenant] -= 1
        given_to[tenant] += cost
        parts = [given_to[name] for name in waiting if waiting[name]]
        assert not parts or max(parts) - min(parts) <= 2 * 50


def test_who_comes_late_does_not_wait_behind_a_long_queue() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.put("noisy", "noisy", 10)
    for _ in range(20):
        queue.pop()
    for _ in range(3):
        queue.put("quiet", "quiet", 10)
    assert Counter(queue.pop() for _ in range(6)) == {"noisy": 3, "quiet": 3}


def test_nothing_is_saved_up_while_away() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(50):
        queue.put("busy", "busy", 1)
        queue.pop()
    for _ in range(4):
        queue.put("back", "back", 1)
        queue.put("busy", "busy", 1)
    assert Counter(queue.pop() for _ in range(4)) == {"busy": 2, "back": 2}


def test_what_nobody_waits_for_is_taken_out() -> None:
    queue: FairQueue[int] = FairQueue()
    for n in range(6):
        queue.put("t", n, 1)
    assert sorted(queue.drop(lambda n: n % 2 == 0)) == [0, 2, 4]
    assert [queue.pop() for _ in range(len(queue))] == [1, 3, 5]


def test_tenants_that_are_gone_are_forgotten() -> None:
    queue: FairQueue[int] = FairQueue()
    for n in range(10 * FORGET):
        queue.put(f"t{n}", n, 1)
        queue.pop()
    assert len(queue._ends) <= FORGET + 1
