"""Int8 scores: within their bound of the cosine, and the same with and without a compiler."""

from __future__ import annotations

import logging
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory_store import compiled, scan
from memory_store.compiled import Compiled, NativeError
from memory_store.pages import K
from memory_store.scan import NO_SCORE, Asked, Codes
from memory_store.search import canonical
from memory_store.store import Float32
from memory_store.view import build_view
from tests.unit.memory_store.facts import (
    WIDE,
    assert_same,
    clustered,
    exact_cosines,
    facts_at,
    near,
    spread,
    unit,
)

BUILDS = {
    "no VNNI": ["-DVNNI=0"],
    "plain C": ["-mno-avx2", "-mno-fma", "-mno-f16c"] if platform.machine() == "x86_64" else [],
}


def coded(addresses: Float32) -> Codes:
    rows = Codes.empty(K, addresses.shape[1])
    rows.put(slice(0, K), np.pad(addresses, ((0, K - len(addresses)), (0, 0))))
    rows.slack[len(addresses) :] = -np.inf
    return rows


def hits(rows: Codes, asked: Asked, floor: Float32) -> NDArray[np.void]:
    return np.sort(scan.scan(rows, asked, floor), order=["row", "which"])


def test_there_is_a_compiler_where_the_tests_run() -> None:
    """Else the tests below compare PyTorch with itself."""
    assert scan.library() is not None


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 400), st.sampled_from([1, 2, 5, 64]), st.booleans())
def test_a_score_is_within_its_bound(seed: int, d: int, count: int, sparse: bool) -> None:
    """And every row that reaches the floor is found."""
    addresses = spread(50, d, seed).astype(np.float16).astype(np.float32)
    if sparse:  # as hashed words are: few numbers, and large ones
        addresses[:, 1 + d // 3 :] = 0
    queries = canonical(near(unit(addresses[:1] + 0.5 * spread(count, d, seed + 1)), seed))
    rows, asked = coded(unit(addresses)), Asked.of(queries)
    exact = np.stack(
        [exact_cosines(q, addresses.astype(np.float16)) for q in queries], axis=1
    )  # (R, Q)
    for floor in (NO_SCORE, np.float32(0.1)):
        found = hits(rows, asked, np.full(count, floor) - asked.slack)
        row, which = found["row"], found["which"]
        slack = rows.slack[row] + asked.slack[which]
        assert np.all(np.abs(found["score"] - exact[row, which]) <= slack)
        named = set(zip(row.tolist(), which.tolist(), strict=True))
        assert named >= set(zip(*(x.tolist() for x in np.nonzero(exact >= floor)), strict=True))


@pytest.mark.parametrize("count", [1, 3, 64])
@pytest.mark.parametrize("d", [5, 16, 384])
def test_without_a_compiler_the_hits_are_the_same_to_the_bit(
    count: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, asked = coded(spread(500, d)), Asked.of(canonical(spread(count, d, 1)))
    floor = np.full(count, 0.05, np.float32)
    native = hits(rows, asked, floor)
    monkeypatch.setattr(scan, "library", lambda: None)
    assert np.array_equal(native, hits(rows, asked, floor))
    assert 0 < len(native) < 500 * count


@pytest.mark.parametrize("d", [1, 5, 16, 384])
def test_exact_products_are_those_of_numpy_to_the_bit(d: int) -> None:
    addresses = unit(spread(100, d)).astype(np.float16)
    queries, which = canonical(spread(3, d, 1)), np.arange(100) % 3
    found = scan.products(addresses.ctypes.data + 2 * d * np.arange(100), which, queries)
    wide = addresses.astype(np.float64)
    sums = [(wide * other).sum(axis=1) for other in (queries[which], wide)]
    assert found is not None
    assert np.array_equal(found, np.stack(sums, axis=1))


@pytest.mark.parametrize("d", [3, 16, 384, 770])
@pytest.mark.parametrize("m", [1, 8, 13, 64])
def test_grams_are_those_of_numpy_to_the_bit(m: int, d: int) -> None:
    """Of matrices whose last rows may be missing."""
    keys = unit(spread(3 * m, d)).astype(np.float16).reshape(3, m, d)
    places = keys.ctypes.data + 2 * d * np.arange(3 * m).reshape(3, m)
    places[1, m - m // 3 :], keys[1, m - m // 3 :] = 0, 0
    wide = keys.astype(np.float64)
    found = scan.grams(places, d)
    assert found is not None
    assert np.array_equal(found, wide @ wide.swapaxes(1, 2))


@pytest.mark.parametrize("c", [3, 8, 1022])
@pytest.mark.parametrize("m", [1, 13, 64])
def test_mixtures_are_those_of_numpy(m: int, c: int) -> None:
    """Of rows the last of which may be missing."""
    latents, weights = spread(3 * m, c).astype(np.float16), spread(3, m, 1).astype(np.float64)
    places = latents.ctypes.data + 2 * c * np.arange(3 * m).reshape(3, m)
    places[1, m - m // 3 :], weights[1, m - m // 3 :] = 0, 0
    found = scan.mixtures(places, weights, c)
    assert found is not None
    expected = (weights[:, None] @ latents.reshape(3, m, c).astype(np.float64))[:, 0]
    assert np.abs(found - expected).max() <= 1e-15


def test_without_a_compiler_a_read_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = clustered(1500, 384, 0.9)
    view, queries = build_view(facts_at(addresses, WIDE), WIDE), near(addresses[:5])
    native = view.read(queries)
    monkeypatch.setattr(scan, "library", lambda: None)
    assert_same(native, view.read(queries))


@pytest.mark.parametrize("d", [384, 4096])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("path", ["best", "no VNNI", "plain C", "PyTorch"])
def test_the_largest_sums_are_exact(
    d: int, count: int, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All numbers of rows and queries at their largest, of either sign."""
    if path == "PyTorch":
        monkeypatch.setattr(scan, "library", lambda: None)
    if path in BUILDS:
        source = Path(shutil.copy(scan.LIBRARY.source, tmp_path))
        flags = (*scan.LIBRARY.flags, *BUILDS[path])
        monkeypatch.setattr(scan, "LIBRARY", Compiled(source, flags))
        monkeypatch.setattr(scan, "library", scan.library.__wrapped__)
    signs = np.where(spread(50, d) > 0, 1, -1)
    signs[0], signs[1] = 1, -1
    rows = coded((signs * d**-0.5).astype(np.float32))
    asked = Asked.of(signs[:count] * d**-0.5)
    found = hits(rows, asked, np.full(count, NO_SCORE))
    exact = rows.by_row()[:50].astype(np.int64) @ asked.whole[:count].astype(np.int64).T
    assert np.abs(exact).max() == 127 * 127 * d
    score = exact.astype(np.float32) * asked.step[:count] * rows.scale[:50, None]
    assert np.array_equal(found["score"].reshape(50, count), score)


def test_free_rows_are_never_found() -> None:
    rows, asked = coded(spread(3, 16)), Asked.of(canonical(spread(2, 16, 1)))
    assert set(hits(rows, asked, np.full(2, -np.inf, np.float32))["row"].tolist()) == {0, 1, 2}


def test_a_library_is_compiled_once_and_beside_its_source(tmp_path: Path) -> None:
    source = tmp_path / "one.c"
    source.write_text("int one(void) { return 1; }")
    library = Compiled(source)
    assert library.load().one() == 1
    built = library.build()
    assert (built.parent, built.stat().st_mtime_ns) == (
        tmp_path,
        library.build().stat().st_mtime_ns,
    )
    source.write_text("int one(void) { return 2; }")
    assert library.load().one() == 2


def test_where_the_source_cannot_be_written_beside_the_cache_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "one.c"
    source.write_text("int one(void) { return 1; }")
    library, places = Compiled(source), Compiled(source)._places()
    monkeypatch.setattr(Compiled, "_places", lambda _: [Path("/proc/nowhere.so"), places[1]])
    assert library.build().parent == tmp_path / "cache"


def test_what_cannot_be_compiled_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "bad.c"
    source.write_text("no C")
    with pytest.raises(NativeError, match="error"):
        Compiled(source).load()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(scan, "LIBRARY", Compiled(source))
    with caplog.at_level(logging.WARNING):
        assert scan.library.__wrapped__() is None
    assert "no C compiler" in caplog.text
    compiled.report("native search", Compiled(source))
