"""Facts for tests: addresses of a chosen likeness, latents that can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_store.scan import Float64
from memory_store.store import Fact, Float32, MemorySpec, Readout

SMALL = MemorySpec(address_dim=16, latent_dim=8, fingerprint="test")
WIDE = MemorySpec(address_dim=384, latent_dim=64, fingerprint="test")


def unit(x: Float32) -> Float32:
    scaled: Float32 = (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def spread(n: int, d: int, seed: int = 0) -> Float32:
    """Addresses (n, d) in all directions."""
    return unit(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def clustered(n: int, d: int, cosine: float, seed: int = 0) -> Float32:
    """Addresses (n, d) that are about `cosine` alike, as cues that differ in one number are."""
    centre = spread(1, d, seed + 1)
    return unit(np.sqrt(cosine) * centre + np.sqrt(1 - cosine) * spread(n, d, seed))


def latents(n: int, c: int, seed: int = 0) -> Float32:
    return np.random.default_rng(seed + 7).normal(size=(n, c)).astype(np.float32)


def fact(number: int, spec: MemorySpec = SMALL, **changes: Any) -> Fact:
    """Fact number `number`; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "cue": f"The badge number of agent {number:04d} is",
        "address": spread(1, spec.address_dim, number)[0],
        "latent": latents(1, spec.latent_dim, number)[0],
        "prompt": f"The badge number of agent {number:04d} is",
        "target": f"B-{number}",
    }
    return Fact(**(fields | changes))


def facts_at(addresses: Float32, spec: MemorySpec) -> list[Fact]:
    return [fact(i, spec, address=address) for i, address in enumerate(addresses)]


def near(queries: Float32, seed: int = 0, amount: float = 0.3) -> Float32:
    """Rephrased queries: some way off the given ones."""
    return unit(queries + amount * spread(len(queries), queries.shape[1], seed + 99))


def exact_cosines(query: Float64, keys: NDArray[np.float16]) -> Float64:
    """Of stored addresses (n, d) with a query (d,): (n,)."""
    wide = keys.astype(np.float64)
    lengths = np.einsum("nd,nd->n", wide, wide) * (query @ query)
    found: Float64 = wide @ query / np.sqrt(np.where(lengths == 0, 1, lengths))
    return found


def assert_same(one: Readout, other: Readout) -> None:
    """Equal to the bit."""
    assert np.array_equal(one.latent, other.latent)
    assert np.array_equal(one.clean, other.clean)
    assert np.array_equal(one.variance, other.variance)
    assert one.ids == other.ids
    assert one.suppressed == other.suppressed
    pairs: Sequence[tuple[Sequence[Float32], Sequence[Float32]]] = (
        (one.weights, other.weights),
        (one.cosines, other.cosines),
    )
    for left, right in pairs:
        assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))
