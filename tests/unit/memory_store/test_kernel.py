"""The batched read against its specification (reference.py)."""

from __future__ import annotations

import numpy as np
import pytest

from memory_store import kernel, reference
from memory_store.scan import Float64
from memory_store.search import Candidates, Source, best_rows
from memory_store.store import Fact, Float32, MemorySpec, ReadParams
from memory_store.view import View, build_view
from tests.unit.memory_store.facts import WIDE, assert_same, clustered, fact, facts_at, near, spread

TOLERANCE = 1e-4  # of the largest latent, and of the variance


def reference_read(view: View, query: Float32) -> tuple[Float32, float, list[str]]:
    rows = np.concatenate([page.rows[page.rows["state"] > 0] for page in view.pages])
    latent, variance, used, _ = reference.read(
        query.astype(np.float64),
        rows["key"].astype(np.float64),
        rows["latent"].astype(np.float64),
        rows["stamp"].astype(np.int64),
        view.params,
    )
    return latent.astype(np.float32), variance, [rows["id"][i].decode() for i in used]


@pytest.mark.parametrize(
    ("addresses", "amount"),
    [
        (spread(700, 384), 0.5),
        (clustered(300, 384, 0.98), 0.2),  # cues that differ in one number
        (clustered(512, 384, 0.9995), 0.02),  # near duplicates
    ],
    ids=["random", "templated", "near-duplicate"],
)
def test_kernel_agrees_with_the_reference(addresses: Float32, amount: float) -> None:
    view = build_view(facts_at(addresses, WIDE), WIDE)
    queries = np.concatenate([addresses[:20], near(addresses[20:40], amount=amount)])
    readout = view.read(queries)
    scale = max(float(np.linalg.norm(latent)) for latent in view.latents().values())
    for i, query in enumerate(queries):
        latent, variance, ids = reference_read(view, query)
        assert np.linalg.norm(readout.latent[i] - latent) <= TOLERANCE * scale
        assert abs(readout.variance[i] - variance) <= TOLERANCE
        assert set(readout.ids[i]) == set(ids)


def test_each_of_300_templated_cues_reads_its_own_fact() -> None:
    addresses = clustered(300, 384, 0.98)
    view = build_view(facts_at(addresses, WIDE), WIDE)
    readout = view.read(addresses)
    stored = view.latents()
    for i in range(300):
        own = readout.ids[i][0]
        assert stored[own] == pytest.approx(fact(i, WIDE).latent, abs=5e-3)
        assert readout.weights[i][0] > 0.9
        assert np.abs(readout.weights[i][1:]).max() < 0.05


def test_a_stored_address_reads_its_latent_and_little_variance() -> None:
    view = build_view(facts_at(spread(100, 384), WIDE), WIDE)
    readout = view.read(spread(100, 384))
    expected = np.stack([fact(i, WIDE).latent for i in range(100)])
    assert np.abs(readout.latent - expected).max() < 0.02
    assert readout.variance.max() < 0.01
    assert min(c[0] for c in readout.cosines) > 0.9999


def test_a_query_between_two_rows_mixes_them_and_the_clean_up_takes_one() -> None:
    axes = np.eye(384, dtype=np.float32)
    view = build_view(facts_at(axes[:2], WIDE), WIDE)
    stored = view.latents()
    readout = view.read((0.8 * axes[:1] + 0.6 * axes[1:2]).astype(np.float32))
    first, second = readout.ids[0]
    weights = readout.weights[0]
    assert weights[0] > 2 * weights[1] > 0
    mixture = weights[0] * stored[first] + weights[1] * stored[second]
    assert readout.latent[0] == pytest.approx(mixture, abs=1e-3)
    assert np.array_equal(readout.clean[0], stored[first])


def test_who_else_is_in_the_batch_cannot_be_seen() -> None:
    """Bucket sizes, tenants beside it and queries before it leave an answer as it is."""
    views = [
        build_view(facts_at(clustered(n, 384, 0.9, seed=n), WIDE), WIDE) for n in (3, 40, 600, 0)
    ]
    queries = [near(clustered(5, 384, 0.9, seed=n), seed=n) for n in (3, 40, 600, 1)]
    together = kernel.read_many(views, queries)
    for view, batch, readout in zip(views, queries, together, strict=True):
        assert_same(readout, view.read(batch))
    alone = views[2].read(queries[2][3:4])
    assert np.array_equal(alone.latent[0], together[2].latent[3])


def test_calls_that_ask_one_memory_are_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (build_view(facts_at(spread(40, 384, seed), WIDE), WIDE) for seed in (1, 2))
    queries = [near(spread(40, 384, 1)[i : i + 1 + i % 2], amount=0.3) for i in range(6)]
    views = [one, other, one, one, other, one]
    alone = [view.read(batch) for view, batch in zip(views, queries, strict=True)]
    asked: list[int] = []

    def search(source: Source, queries: Float64, m: int) -> list[Candidates]:
        asked.append(len(queries))
        return best_rows(source, queries, m)

    monkeypatch.setattr("memory_store.kernel.best_rows", search)
    for found, expected in zip(kernel.read_many(views, queries), alone, strict=True):
        assert_same(found, expected)
    assert asked == [6, 3]


def test_nothing_above_the_floor_reads_nothing() -> None:
    axes = np.eye(16, dtype=np.float32)
    spec = MemorySpec(16, 8, "test")
    view = build_view([fact(1, spec, address=axes[0])], spec)
    readout = view.read(np.stack([axes[1], np.zeros(16, np.float32), axes[0]]))
    assert readout.ids[0] == readout.ids[1] == ()
    assert not readout.latent[:2].any()
    assert readout.variance[:2].tolist() == [1, 1]
    assert readout.ids[2]


def test_an_empty_memory_reads_nothing() -> None:
    readout = build_view([], WIDE).read(spread(2, 384))
    assert readout.ids == ((), ())
    assert readout.latent.shape == (2, 64)


def test_no_queries_read_nothing() -> None:
    readout = build_view([fact(1, WIDE)], WIDE).read(np.zeros((0, 384), np.float32))
    assert readout.latent.shape == (0, 64)


@pytest.mark.parametrize("bad", [np.full((1, 384), np.nan), np.full((1, 384), np.inf)])
def test_a_query_that_is_not_finite_is_refused(bad: Float32) -> None:
    view = build_view([fact(1, WIDE)], WIDE)
    with pytest.raises(ValueError, match="not finite"):
        view.read(bad.astype(np.float32))


def test_a_query_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="384"):
        build_view([], WIDE).read(np.ones((1, 16), np.float32))


@pytest.mark.parametrize("newest", [0, 1])
def test_of_two_rows_that_answer_equally_the_newest_takes_all(newest: int) -> None:
    """Never an average of two latents."""
    axes = np.eye(384, dtype=np.float32)
    middle = (axes[:1] + axes[1:2]) / np.sqrt(2)
    pair = near(np.concatenate([middle, middle]), amount=0.003)
    order = [pair[newest], pair[1 - newest]][::-1]  # the newest is written last
    view = build_view(facts_at(np.stack(order), WIDE), WIDE)
    readout = view.read(np.concatenate([axes[:1], middle]))
    for i in range(2):
        assert readout.ids[i] == (next(reversed(view.latents())),)
    assert readout.latent[1] == pytest.approx(fact(1, WIDE).latent, abs=0.01)


def test_a_suppression_that_takes_the_weight_is_told() -> None:
    view = build_view([fact(1, WIDE), fact(2, WIDE, kind="suppression")], WIDE)
    readout = view.read(np.stack([fact(1, WIDE).address, fact(2, WIDE).address]))
    assert readout.suppressed == (False, True)


def test_expired_rows_are_not_read() -> None:
    facts: list[Fact] = [fact(1, WIDE, expires_at=100.0), fact(2, WIDE)]
    view = build_view(facts, WIDE)
    now = View(view.info, WIDE, ReadParams(), view.pages, clock=99.0)
    later = View(view.info, WIDE, ReadParams(), view.pages, clock=100.0)
    assert now.read(fact(1, WIDE).address[None]).ids[0]
    survivors = build_view([fact(2, WIDE)], WIDE)
    queries = near(np.stack([f.address for f in facts]))
    assert_same(later.read(queries), survivors.read(queries))
