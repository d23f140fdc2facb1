"""Facts for proofs and timings: any number of them, each made from its number and version alone."""

from __future__ import annotations

import numpy as np

from memory_store.store import Fact, Float32, MemorySpec

SPEC = MemorySpec(address_dim=768, latent_dim=1024, fingerprint="benchmark")  # as it ships


def address(number: int, d: int = SPEC.address_dim) -> Float32:
    vector = np.random.default_rng(number).standard_normal(d, dtype=np.float32)
    unit: Float32 = vector / np.linalg.norm(vector)
    return unit


def made(number: int, version: int = 0, spec: MemorySpec = SPEC) -> Fact:
    """The latent tells number and version, so that what is read tells what was written."""
    latent = np.full(spec.latent_dim, version + 1, np.float32)
    latent[0] = number % 2048  # exact in float16
    return Fact(
        cue=f"The badge number of agent {number:04d} is",
        address=address(number, spec.address_dim),
        latent=latent,
        prompt=f"The badge number of agent {number:04d} is",
        target=f"{number}-{version}",
    )
