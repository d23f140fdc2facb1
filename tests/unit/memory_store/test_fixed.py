"""Policy `fixed`: updates are least squares, forgetting is never having written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memory_store import fixed, update
from memory_store.errors import CheckpointMismatch, PageCorrupt
from memory_store.fixed import FixedState
from memory_store.pages import K, Rows
from memory_store.store import MemorySpec, ReadParams
from memory_store.view import build_view
from tests.unit.memory_store.facts import SMALL, WIDE, fact, facts_at, near, spread

ROWS: Rows = np.concatenate(
    [page.rows for page in build_view(facts_at(spread(600, 384), WIDE), WIDE).pages]
)[:600]
NONE = ROWS[:0]


def empty() -> FixedState:
    return FixedState.empty(WIDE, ReadParams(), seed=3)


def exact(rows: Rows) -> tuple[fixed.Float64, fixed.Float64]:
    """Λ and M of the ridge regression over all rows at once."""
    w = empty().reference.features(fixed.unit64(rows))
    gram = np.asarray(ReadParams().ridge * np.eye(K) + w.T @ w, np.float64)
    cross = w.T @ rows["latent"].astype(np.float64)
    return gram, np.asarray(np.linalg.solve(gram, cross), np.float64)


def carried() -> FixedState:
    """A state whose solution is carried through updates, not solved anew."""
    state = empty()
    assert len(state.solved) == 2
    return state


def test_features_have_unit_length_and_approximate_the_kernel() -> None:
    addresses = spread(200, 384).astype(np.float64)
    close = near(addresses[:1].astype(np.float32), amount=0.5).astype(np.float64)
    reference = empty().reference
    features, other = reference.features(addresses), reference.features(close)
    assert np.square(features).sum(axis=1) == pytest.approx(np.ones(200))
    kernel = np.exp(10 * (addresses[:1] @ close.T - 1))
    assert features[:1] @ other.T == pytest.approx(kernel, abs=0.15)


@pytest.mark.parametrize("state", [empty, carried])
def test_updates_are_least_squares_over_all_rows(state: Callable[[], FixedState]) -> None:
    after = state()
    for first in range(0, 40, 8):
        after = after.change(NONE, ROWS[first : first + 8])
    gram, memory = exact(ROWS[:40])
    assert np.abs(after.gram - gram).max() < 1e-12
    assert after.solved[1].numpy() == pytest.approx(memory, rel=1e-9, abs=1e-9)


def test_a_solution_is_carried_by_the_compiled_update(monkeypatch: pytest.MonkeyPatch) -> None:
    state = carried()
    monkeypatch.setattr(update, "FEW", 0)  # however many threads there are
    monkeypatch.setattr(update, "update_in_torch", None)
    assert "solved" in state.change(NONE, ROWS[:8]).change(NONE, ROWS[8:10]).__dict__


@pytest.mark.parametrize("state", [empty, carried])
def test_forgetting_half_is_never_having_seen_it(state: Callable[[], FixedState]) -> None:
    worn = state().change(NONE, ROWS[:400])
    for first in range(0, 200, 20):
        worn = worn.change(ROWS[first : first + 20], NONE)
    fresh = empty().change(NONE, ROWS[200:400])
    for mine, theirs in zip(worn.read(ROWS[:400]), fresh.read(ROWS[:400]), strict=True):
        assert np.abs(mine - theirs).max() <= 1e-9 * np.abs(theirs).max()


def test_a_solution_is_not_carried_for_ever() -> None:
    state = carried()
    for _ in range(fixed.MAX_AGE - 1):
        state = state.change(NONE, ROWS[:1])
        assert "solved" in state.__dict__
    state = state.change(NONE, ROWS[:1])
    assert ("solved" in state.__dict__, state.age) == (False, 0)


def test_a_full_memory_reads_what_was_written_there() -> None:
    facts = facts_at(spread(256, 384), WIDE)
    view = build_view(facts, WIDE, policy="fixed")
    readout = view.read(np.stack([f.address for f in facts]))
    expected = np.stack([f.latent for f in facts])
    assert np.abs(readout.latent - expected).max() < 0.1
    assert readout.variance.max() < 0.01
    assert readout.ids[7] == (next(id for i, id in enumerate(view.latents()) if i == 7),)


def test_a_rephrased_query_snaps_to_the_nearest_address() -> None:
    facts = facts_at(spread(256, 384), WIDE)
    view = build_view(facts, WIDE, policy="fixed")
    exact_query = np.stack([f.address for f in facts[:20]])
    there, near_by = view.read(exact_query), view.read(near(exact_query, amount=0.4))
    assert np.array_equal(there.latent, near_by.latent)
    assert there.ids == near_by.ids


def test_an_empty_fixed_memory_reads_nothing() -> None:
    view = build_view([], WIDE, policy="fixed")
    assert view.read(spread(1, 384)).ids == ((),)


def packed() -> bytes:
    state = FixedState.empty(SMALL, ReadParams(), 2**64 - 1)
    rows = build_view([fact(1)], SMALL).pages[0].rows[:1]
    return state.change(rows[:0], rows).pack(SMALL, "e1")


def test_it_comes_back_as_it_was_stored() -> None:
    state = fixed.parse(packed(), SMALL, "e1")
    assert state.reference.seed == 2**64 - 1
    assert state.pack(SMALL, "e1") == packed()


@pytest.mark.parametrize("at", [0, 9, 60, 100, -1])
def test_a_flipped_byte_is_noticed(at: int) -> None:
    data = bytearray(packed())
    data[at] ^= 1
    with pytest.raises((PageCorrupt, CheckpointMismatch), match="page fixed"):
        fixed.parse(bytes(data), SMALL, "e1")


def test_what_belongs_elsewhere_is_refused() -> None:
    with pytest.raises(PageCorrupt, match="page fixed"):
        fixed.parse(packed(), SMALL, "e2")
    with pytest.raises(PageCorrupt, match="page fixed"):
        fixed.parse(packed()[:-1], SMALL, "e1")
    with pytest.raises(CheckpointMismatch):
        fixed.parse(packed(), MemorySpec(16, 8, "another"), "e1")
