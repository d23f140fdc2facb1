"""Level 0: the rows it finds are provably the best, and depend on the set of rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory_store import search
from memory_store.pages import K, Layout
from memory_store.rows import pack
from memory_store.scan import Asked, Codes, scan
from memory_store.search import best_rows, canonical
from memory_store.store import Fact, Float32
from memory_store.view import View, build_view
from tests.unit.memory_store.facts import (
    SMALL,
    WIDE,
    assert_same,
    clustered,
    exact_cosines,
    facts_at,
    near,
    spread,
)


def scattered(facts: list[Fact], slots: list[int]) -> View:
    """The facts, in the same order of writing, in slots of choice."""
    layout = Layout(SMALL)
    rows = {
        slot: pack(layout, fact, f"id-{fact.target}", stamp)
        for stamp, (slot, fact) in enumerate(zip(slots, facts, strict=True), 1)
    }
    return build_view([], SMALL).with_rows(rows)


def rows_at(addresses: Float32, first: int = 0) -> dict[int, np.void]:
    """Rows of nothing but an address, from a slot on."""
    rows = Layout(SMALL).empty(len(addresses))
    rows["key"], rows["state"] = addresses, 1
    rows["stamp"] = np.arange(len(addresses)) + 1
    return {first + i: row for i, row in enumerate(rows)}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_slots_and_pages_cannot_be_seen(data: st.DataObject) -> None:
    cosine = data.draw(st.sampled_from([0.0, 0.9, 0.999]))
    n = data.draw(st.integers(1, 90))
    seed = data.draw(st.integers(0, 1000))
    addresses = clustered(n, 16, cosine, seed)
    slots = data.draw(st.lists(st.integers(0, 3 * K - 1), min_size=n, max_size=n, unique=True))
    facts = facts_at(addresses, SMALL)
    queries = np.concatenate([addresses[:3], near(addresses[:5], seed)])
    here, there = scattered(facts, list(range(n))), scattered(facts, slots)
    assert_same(here.read(queries), there.read(queries))


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(80)), st.integers(0, 1000))
def test_the_order_of_writing_cannot_be_seen(order: list[int], seed: int) -> None:
    """Of facts none of which answers equally well as another."""
    facts = facts_at(spread(80, 16, seed), SMALL)
    queries = near(spread(80, 16, seed)[:6], seed, amount=0.2)
    one = build_view(facts, SMALL).read(queries)
    other = build_view([facts[i] for i in order], SMALL).read(queries)
    assert_same(one, other)


def test_the_64_best_rows_are_the_64_best() -> None:
    """Against exact integer arithmetic, among near duplicates that float32 cannot order."""
    addresses = clustered(1500, 384, 0.99999)
    view = build_view(facts_at(addresses, WIDE), WIDE)
    query = canonical(near(addresses[:1], amount=0.001))
    found = best_rows(view, query, 64)[0]
    rows = np.concatenate([page.rows for page in view.pages])[:1500]
    whole = np.rint(query[0] * 2.0**24).astype(np.int64).astype(object)
    keys = np.rint(rows["key"].astype(np.float64) * 2.0**24).astype(np.int64).astype(object)
    products, squares = keys @ whole, (keys * keys).sum(axis=1)
    exact = [p * abs(p) / s for p, s in zip(products.tolist(), squares.tolist(), strict=True)]
    expected = sorted(range(1500), key=lambda i: -exact[i])[:64]
    assert set(found.rows.at.tolist()) == set(view.rows(np.array(expected)).at.tolist())
    assert np.all(np.diff(found.cosines) <= 0)


@pytest.mark.parametrize("cosine", [0.0, 0.9, 0.9999])
def test_a_floor_that_was_taken_too_high_is_taken_back(
    cosine: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = build_view([], SMALL).with_rows(rows_at(clustered(3 * K, 16, cosine)))
    queries = canonical(near(clustered(20, 16, cosine), amount=0.2))
    scans: list[int] = []

    def counted(rows: Codes, asked: Asked, floor: Float32) -> NDArray[np.void]:
        scans.append(len(rows.scale))
        return scan(rows, asked, floor)

    monkeypatch.setattr(search, "scan", counted)
    found = []
    for likely in (1.0, -1.0):  # the least, and the most, that a cosine can be
        monkeypatch.setattr(search, "LIKELY", likely)
        found.append(best_rows(view, queries, 64))
    assert sum(scans) == (1 + 2) * 3 * K
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.rows.at, other.rows.at)
        assert np.array_equal(one.cosines, other.cosines)


def test_more_rows_than_one_block() -> None:
    """Against all rows scored exactly; a block that came later, and one that changed, count."""
    addresses = clustered(40 * K, 16, 0.5)
    view = build_view([], SMALL).with_rows(rows_at(addresses))
    queries = canonical(near(addresses[::1200], amount=0.2))
    for changed in (view, view.with_rows(rows_at(-addresses[20 * K : 20 * K + 9], 20 * K))):
        keys = np.concatenate([page.rows["key"] for page in changed.pages])
        for query, found in zip(queries, best_rows(changed, queries, 64), strict=True):
            exact = exact_cosines(query, keys)
            assert found.cosines.tolist() == sorted(exact)[-1:-65:-1]
        view.read(queries[:1].astype(np.float32))  # both are searched in turns


def test_equal_addresses_are_ordered_by_newness() -> None:
    addresses = np.repeat(spread(1, 16), 5, axis=0)
    view = scattered(facts_at(addresses, SMALL), [9, 3, 700, 1, 4])
    found = best_rows(view, canonical(addresses[:1]), 64)[0]
    assert found.heads["stamp"].tolist() == [5, 4, 3, 2, 1]


def test_a_query_of_any_length_is_the_same_query() -> None:
    query = spread(1, 384)
    assert canonical(query * 1e3) == pytest.approx(canonical(query), abs=1e-6)
