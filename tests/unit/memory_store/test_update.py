"""Least-squares updates of many tenants: right, and the same with and without a compiler."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from memory_store import update
from memory_store.compiled import Compiled
from memory_store.update import ROWS, update_in_torch, update_many

Update = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def _compiled_for_small_matrices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "FEW", 0)


def batch(t: int, n: int, k: int, c: int) -> Batch:
    """Λ⁻¹, M, W, Z and α of tenants with n, n - 1, … rows of their own, some forgotten."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    before, w = normal(t, 50 + n, k) / k**0.5, normal(t, n, k) / k**0.5
    w[:, ::3] = before[:, :n:3]  # what is forgotten was there
    alpha = torch.ones(t, n, dtype=torch.float64)
    alpha[:, ::3] = -1
    for i in range(t):
        alpha[i, n - i % n :] = 0
    gram = torch.eye(k, dtype=torch.float64) + before.mT @ before
    cross = before.mT @ normal(t, 50 + n, c)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram)).contiguous()
    return inverse, inverse @ cross, w, normal(t, n, c), alpha


def copied(tensors: Batch) -> Batch:
    inverse, memory, w, z, alpha = tensors
    return inverse.clone(), memory.clone(), w, z, alpha


def assert_close(got: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    for mine, theirs in zip(got, expected, strict=True):
        assert (mine - theirs).abs().max() <= 1e-11 * theirs.abs().max()


def test_there_is_a_compiler_where_the_tests_run() -> None:
    """Else the tests below compare PyTorch with itself."""
    assert update.library() is not None


@pytest.mark.parametrize("change", [update_many, update_in_torch])
def test_many_tenants_at_once_are_each_alone(change: Update) -> None:
    """Padded rows (α = 0) change nothing."""
    rng = np.random.default_rng(0)
    t, n, k, c = 3, 4, 32, 5
    w, z = rng.normal(size=(t, n, k)), rng.normal(size=(t, n, c))
    before = rng.normal(size=(t, 50, k))
    gram = np.eye(k) + before.transpose(0, 2, 1) @ before
    cross = before.transpose(0, 2, 1) @ rng.normal(size=(t, 50, c))
    alpha = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [-1, 0, 1, 0]], np.float64)
    w[2, 0] = before[2, 0]  # what is forgotten was there
    inverse, memory = np.linalg.inv(gram), np.linalg.solve(gram, cross)
    got = change(*(torch.from_numpy(x) for x in (inverse, memory, w, z, alpha)))
    for i in range(t):
        after = gram[i] + (w[i].T * alpha[i]) @ w[i]
        expected = np.linalg.solve(after, cross[i] + (w[i].T * alpha[i]) @ z[i])
        assert got[0][i].numpy() == pytest.approx(np.linalg.inv(after), abs=1e-10)
        assert got[1][i].numpy() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("t", "n", "k", "c"),
    [
        (1, 1, 512, 1024),
        (3, 8, 512, 1024),
        (5, 5, 67, 259),  # no multiples of what the loops take at once
        (2, ROWS, 9, 1),
        (2, ROWS + 1, 40, 300),  # PyTorch's
    ],
)
def test_with_and_without_a_compiler_it_is_the_same(t: int, n: int, k: int, c: int) -> None:
    """And what is returned lies where it lay."""
    tensors = batch(t, n, k, c)
    assert all(x.is_contiguous() for x in tensors)  # else PyTorch is compared with itself
    inverse, memory, *rest = copied(tensors)
    got = update_many(inverse, memory, *rest)
    assert_close(got, update_in_torch(*copied(tensors)))
    assert [x.data_ptr() for x in got] == [inverse.data_ptr(), memory.data_ptr()]
    assert not torch.equal(memory, tensors[1])


def test_rows_beyond_the_memory_of_a_tenant_are_left_alone() -> None:
    """The last block of a matrix is narrow: nothing is written behind it."""
    inverse, memory, w, z, alpha = batch(3, 4, 16, 259)
    for part in (slice(0, 1), slice(2, 3)):
        update_many(*(x[part] for x in (inverse, memory, w, z, alpha)))
    untouched = batch(3, 4, 16, 259)
    assert torch.equal(inverse[1], untouched[0][1])
    assert torch.equal(memory[1], untouched[1][1])


def test_what_lies_otherwise_in_memory_is_left_to_pytorch() -> None:
    tensors = batch(2, 3, 24, 30)
    inverse, memory, w, z, alpha = copied(tensors)
    turned = memory.mT.contiguous().mT
    latents = z.mT.contiguous().mT
    assert_close(update_many(inverse, turned, w, latents, alpha), update_in_torch(*copied(tensors)))


def test_without_a_compiler_updates_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "update.c"
    source.write_text("int nothing;")
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(update, "LIBRARY", Compiled(source))
    monkeypatch.setattr(update, "library", update.library.__wrapped__)
    tensors = batch(2, 3, 24, 30)
    with caplog.at_level(logging.WARNING):
        got = update_many(*copied(tensors))
    assert "updating without the native library: no C compiler" in caplog.text
    assert_close(got, update_in_torch(*copied(tensors)))
