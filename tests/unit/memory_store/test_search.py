"""Level 0: the rows it finds are provably the best, and depend on the set of rows alone."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory_store import scan as scan_module
from memory_store import search
from memory_store.blocks import Block
from memory_store.pages import K, Layout, Rows, live
from memory_store.places import Places
from memory_store.rows import pack
from memory_store.scan import Asked, Codes, scan
from memory_store.search import best_rows, canonical
from memory_store.store import Fact, Float32, MemorySpec
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
    unit,
)


def scattered(facts: list[Fact], slots: list[int]) -> View:
    """The facts, in the same order of writing, in slots of choice."""
    layout = Layout(SMALL)
    rows = {
        slot: pack(layout, fact, f"id-{fact.target}", stamp)
        for stamp, (slot, fact) in enumerate(zip(slots, facts, strict=True), 1)
    }
    return build_view([], SMALL).with_rows(rows)


def rows_at(addresses: Float32, first: int = 0, spec: MemorySpec = SMALL) -> dict[int, np.void]:
    """Rows of nothing but an address, from a slot on."""
    rows = Layout(spec).empty(len(addresses))
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
        monkeypatch.setattr(search, "SHARE", likely)
        found.append(best_rows(view, queries, 64))
    assert sum(scans) == (1 + 2) * 3 * K
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.rows.at, other.rows.at)
        assert np.array_equal(one.cosines, other.cosines)


def drawn(data: st.DataObject) -> tuple[Rows, Float32]:
    """Rows and queries of all sorts: clustered, equal, of few numbers, free and expired."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, d = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 40))
    sort = data.draw(st.sampled_from(["random", "clustered", "equal", "sparse", "signs"]))
    x = rng.standard_normal((n, d))
    if sort == "clustered":
        x = x[:1] + data.draw(st.sampled_from([0.3, 1e-3, 1e-5])) * x
    if sort == "equal":
        x = x[rng.integers(0, n // 20 + 1, n)]
    if sort == "sparse":
        x *= rng.random(x.shape) < 2 / d
    if sort == "signs":  # no rounding is left but float32's
        x = np.sign(x)
    x[~x.any(axis=1), 0] = 1
    rows = Layout(MemorySpec(d, 3, "test")).empty(n)
    rows["key"], rows["stamp"] = unit(x.astype(np.float32)), rng.permutation(n) + 1
    rows["state"] = rng.random(n) < 0.9
    rows["expires_at"] = rng.choice([0, 500, 2000], n)
    queries = x[rng.integers(0, n, 65)] + rng.choice([0, 1e-4, 0.5], 65)[:, None] * x[:1]
    queries[0] = 0
    return rows, queries.astype(np.float32)


@pytest.mark.parametrize("native", [True, False])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
@given(st.data())
def test_the_best_of_any_rows_are_the_best(native: bool, data: st.DataObject) -> None:
    """Against exact cosines of all, for floors that are likely, certain and too high."""
    rows, queries = drawn(data)
    m, count = data.draw(st.sampled_from([1, 5, 64])), data.draw(st.sampled_from([1, 3, 65]))
    spec = MemorySpec(rows["key"].shape[1], 3, "test")
    view = replace(build_view([], spec).with_rows(dict(enumerate(rows))), clock=1000.0)
    alive = np.flatnonzero(live(rows, 1000.0)).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SHARE", data.draw(st.sampled_from([0.25, 1.0, -1.0])))
        if not native:
            patch.setattr(scan_module, "library", lambda: None)
        asked = canonical(queries[:count])
        found = best_rows(view, asked, m)
    for query, best in zip(asked, found, strict=True):
        cosines = exact_cosines(query, rows["key"])
        order = sorted(
            alive, key=lambda i: (-cosines[i], rows["key"][i].tobytes(), -int(rows["stamp"][i]))
        )
        assert best.heads["stamp"].tolist() == rows["stamp"][order[:m]].tolist()
        assert best.cosines.tolist() == cosines[order[:m]].tolist()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_hit_is_within_its_bounds_and_none_is_missing(data: st.DataObject) -> None:
    rows, queries = drawn(data)
    view = build_view([], MemorySpec(rows["key"].shape[1], 3, "test"))
    view = replace(view.with_rows(dict(enumerate(rows))), clock=1000.0)
    asked = canonical(queries[:3])
    codes = view.blocks[0].codes(1000.0)
    exact = np.stack([exact_cosines(q, rows["key"]) for q in asked])  # (Q, R)
    floor = np.partition(exact, len(rows) // 2)[:, len(rows) // 2].astype(np.float32)
    hits = search.Hits.of(codes, Asked.of(asked), floor, 0)
    assert np.all(hits.low <= exact[hits.which, hits.slots])
    assert np.all(hits.high >= exact[hits.which, hits.slots])
    reached = (exact >= floor[:, None]) & live(rows, 1000.0)
    named = set(zip(hits.which.tolist(), hits.slots.tolist(), strict=True))
    assert named >= set(zip(*(x.tolist() for x in np.nonzero(reached)), strict=True))


class Changing:
    """A source whose rows change between the scan and the fetch, as those of a tenant that is
    larger than the cache may."""

    now = 0.0

    def __init__(self, view: View, changed: Mapping[int, np.void]) -> None:
        self.scanned, self.fetched = view, view.with_rows(changed)
        self.scans, self.counts = 0, list[int]()

    @property
    def blocks(self) -> list[Block]:
        self.scans += 1
        return self.scanned.blocks

    def rows(self, slots: NDArray[np.int64]) -> Places:
        self.counts.append(len(slots))
        return self.fetched.rows(slots)


@pytest.mark.parametrize("cosine", [0.0, 0.5])
@pytest.mark.parametrize("then", ["erased", "replaced"])
def test_a_row_that_goes_during_a_search_costs_nothing(then: str, cosine: float) -> None:
    view = build_view([], WIDE).with_rows(rows_at(clustered(8 * K, 384, cosine), spec=WIDE))
    query = canonical(clustered(1, 384, cosine))
    quiet = Changing(view, {})
    before = best_rows(quiet, query, 64)[0]
    gone = Layout(WIDE).empty(1)[0]
    if then == "replaced":
        gone = rows_at(-clustered(1, 384, cosine), spec=WIDE)[0]
    busy = Changing(view, {0: gone})
    after = best_rows(busy, query, 64)[0]
    assert (busy.scans, busy.counts[0]) == (quiet.scans, quiet.counts[0]) == (1, 64)
    assert sum(busy.counts) <= sum(quiet.counts) + 64
    assert after.cosines[:63].tolist() == before.cosines[1:].tolist()


def test_candidates_keep_the_memory_of_their_rows() -> None:
    view = build_view(facts_at(spread(100, 16), SMALL), SMALL)
    found = best_rows(view, canonical(spread(2, 16)), 64)[0]
    page = weakref.ref(view.pages[0])
    kept = found.take(slice(0, 1)).rows.joined(found.rows.take(slice(1, 2)))
    del view, found
    assert page() is not None
    del kept
    assert page() is None


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
