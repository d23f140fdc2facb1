"""Writing a batch is writing its facts one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_store.plan import Entry, Plan
from memory_store.store import Fact
from tests.unit.memory_store.facts import fact

writes = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(1, 4)), max_size=12)


def facts_of(ops: list[tuple[str | None, int]]) -> list[Fact]:
    return [fact(cue, id=id, target=f"{n}") for n, (id, cue) in enumerate(ops)]


def stored(plan: Plan) -> dict[int, Entry]:
    """Slots that the plan leaves occupied."""
    kept = {entry.slot: entry for entry in plan.by_id.values()}
    assert set(plan.puts) <= set(kept)
    return kept


@given(writes)
def test_a_batch_is_its_facts_one_by_one(ops: list[tuple[str | None, int]]) -> None:
    together = Plan.of({})
    results = [together.write(f) for f in facts_of(ops)]
    one_by_one, free, slots, stamp = dict[str, Entry](), list[int](), 0, 0
    alone, targets = [], dict[str, str | None]()
    for f in facts_of(ops):
        plan = Plan.of(one_by_one, sorted(free), slots, stamp)
        alone.append(plan.write(f))
        free = [slot for slot in {*free, *plan.freed} if slot not in plan.puts]
        one_by_one, slots, stamp = dict(plan.by_id), plan.slots, plan.stamp
        targets[alone[-1].id] = f.target
    assert results == alone
    final = {put.entry.id: (put.fact.target, put.stamp) for put in together.puts.values()}
    assert set(final) == set(one_by_one)
    assert all(final[id][0] == targets[id] for id in final)


@given(writes, writes)
def test_no_slot_is_lost_or_used_twice(
    before: list[tuple[str | None, int]], ops: list[tuple[str | None, int]]
) -> None:
    first = Plan.of({})
    for f in facts_of(before):
        first.write(f)
    known, free = dict(first.by_id), first.freed
    plan = Plan.of(known, free, first.slots, first.stamp)
    for f in facts_of(ops):
        plan.write(f)
    used = set(stored(plan))
    assert len(used) == len(plan.by_id)
    assert used.isdisjoint(plan.free)
    assert used | set(plan.free) == set(range(plan.slots))


def test_a_new_id_with_an_old_cue_supersedes_it() -> None:
    plan = Plan.of({})
    plan.write(fact(1, id="old"))
    result = plan.write(fact(1, id="new"))
    assert (result.status, result.replaced_id) == ("replaced", "old")
    assert list(plan.by_id) == ["new"]


def test_an_id_may_move_to_another_cue() -> None:
    plan = Plan.of({})
    plan.write(fact(1, id="a"))
    plan.write(fact(2, id="b"))
    result = plan.write(fact(2, id="a"))
    assert (result.status, result.replaced_id) == ("replaced", "b")
    assert list(plan.by_id) == ["a"]
    assert plan.forget(cue=fact(1).cue).status == "not_found"


def test_chunks_never_replace_one_another() -> None:
    plan = Plan.of({})
    plan.write(fact(1, kind="chunk", id="d:0"))
    assert plan.write(fact(1, kind="chunk", id="d:1")).status == "written"
    assert plan.write(fact(1)).status == "written"
    assert len(plan.by_id) == 3
    assert plan.count("chunk") == 2
