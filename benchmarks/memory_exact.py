"""How far the batched read is from its specification in float64 (memory_store/reference.py).

`python -m benchmarks.memory_exact --data DIR` takes real addresses of CounterFact, of 300 cues
that differ in one number, and of 512 near duplicates, and writes
benchmarks/results/memory_exact.json, with a GPU the same of what that solves. `latent` is ‖Δz_r‖
over the longest stored latent, `variance` |Δv|, each the largest of all queries, compared in
float64: the rounding of what is read to float32 (3e-8) is part of both. Both read the query as it
is defined to be read, on the grid of 2⁻²⁴: off it, the 64th and the 65th of near duplicates can
change places.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import write_results
from evaluation.capacity import LATENT, prompts, shipped_encoder, stored, stored_rows
from memory_store import reference
from memory_store.kernel import read_many
from memory_store.search import canonical
from memory_store.store import Float32

QUERIES = 100


def errors(addresses: Float32, queries: Float32, latents: Float32, device: str) -> dict[str, float]:
    """The largest error of z_r and of v."""
    view = stored(addresses, latents)
    rows = stored_rows(view)
    keys, values = rows["key"].astype(np.float64), rows["latent"].astype(np.float64)
    stamps, [readout] = rows["stamp"].astype(np.int64), read_many([view], [queries], device)
    scale, worst = float(np.linalg.norm(values, axis=1).max()), np.zeros(2)
    for i, query in enumerate(canonical(queries)):
        z, v, _, _ = reference.read(query, keys, values, stamps, view.params)
        far = float(np.linalg.norm(readout.latent[i] - z)) / scale
        worst = np.maximum(worst, (far, abs(float(readout.variance[i]) - v)))
    return {"rows": len(rows), "queries": len(queries)} | dict(
        zip(("latent", "variance"), worst.tolist(), strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    cues, paraphrases = prompts(parser.parse_args().data)
    encoder, rng = shipped_encoder(), np.random.default_rng(1)
    agents = [f"The badge number of agent {n:04d} is" for n in range(300)]
    asked = [f"What is the badge number of agent {n:04d}?" for n in range(QUERIES)]
    real, near, badge, badge_asked = (
        encoder.encode(texts).numpy() for texts in (cues, paraphrases[:QUERIES], agents, asked)
    )
    close = real[:1] + 1e-3 * rng.standard_normal((512, real.shape[1]), dtype=np.float32)
    close /= np.linalg.norm(close, axis=1, keepdims=True)
    latents = rng.standard_normal((len(real), LATENT), dtype=np.float32)
    cases = {
        "CounterFact": (real, np.concatenate([real[:QUERIES], near]), latents),
        "300 templated cues": (
            badge,
            np.concatenate([badge[:QUERIES], badge_asked]),
            latents[:300],
        ),
        "512 near duplicates": (close, close[:QUERIES], latents[:512]),
    }
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        found = {name: errors(*case, device) for name, case in cases.items()}
        write_results("memory_exact", {"kernel against reference": found}, device)


if __name__ == "__main__":
    main()
