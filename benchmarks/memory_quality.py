"""How exact the memory is on real addresses, and how much policy `fixed` holds.

`python -m benchmarks.memory_quality FULL_DEV_JSON` encodes CounterFact's prompts and paraphrases
with the (not fine-tuned) address encoder and writes benchmarks/results/memory_quality.json:
the kernel's errors against the float64 reference, and recall at N = K/2, K, 2K, 4K beside the
paper's linear addressing (arXiv 2403.11901: about 1.00 to N = K, .82 at 2K; of K forgotten and
retained .001 and .997). Recall: the stored latent nearest to the readout is the right one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory_proofs import write_results
from memory_store import reference
from memory_store.fixed import Float64
from memory_store.pages import FREE, K
from memory_store.store import Fact, Float32, MemorySpec, ReadParams
from memory_store.view import View, build_view
from service.model.address import AddressEncoder, Sketch, idf_table
from service.model.encoder import SentenceEncoder
from service.model.weights import encoder_path

CASES, LATENT = 4 * K, 1024


def cases(path: Path) -> tuple[list[str], list[str]]:
    """4K prompts, and a paraphrase of the first ones: edited prompts, each once, then neighbours
    (the set has 1,056 edits with paraphrases)."""
    found: dict[str, str] = {}
    neighbours: dict[str, None] = {}
    for case in json.loads(path.read_text()):
        rewrite = case["requested_rewrite"]
        prompt = rewrite["prompt"].format(rewrite["subject"])
        found.setdefault(prompt, case["paraphrase_prompts"][0])
        neighbours |= dict.fromkeys(case["neighborhood_prompts"])
    others = [prompt for prompt in neighbours if prompt not in found]
    return [*found, *others][:CASES], list(found.values())


def stored(addresses: Float32, latents: Float32, policy: Any = "grow") -> View:
    spec = MemorySpec(addresses.shape[1], latents.shape[1], "quality")
    facts = [
        Fact(f"cue {i}", address, latent, id=f"{i}")
        for i, (address, latent) in enumerate(zip(addresses, latents, strict=True))
    ]
    return build_view(facts, spec, ReadParams(floor=-1.0), policy)


def errors(addresses: Float32, queries: Float32, latents: Float32) -> dict[str, float]:
    """The batched read against the reference: the largest error of z_r and of v."""
    view = stored(addresses, latents)
    rows = np.concatenate([page.rows[page.rows["state"] != FREE] for page in view.pages])
    keys, values = rows["key"].astype(np.float64), rows["latent"].astype(np.float64)
    stamps, readout = rows["stamp"].astype(np.int64), view.read(queries)
    scale, worst = float(np.linalg.norm(values, axis=1).max()), np.zeros(2)
    for i, query in enumerate(queries.astype(np.float64)):
        z, v, _, _ = reference.read(query, keys, values, stamps, view.params)
        here = np.linalg.norm(readout.latent[i] - z) / scale, abs(readout.variance[i] - v)
        worst = np.maximum(worst, here)
    return {"latent": float(worst[0]), "variance": float(worst[1])}


def recall(readouts: Float32 | Float64, latents: Float32, expected: range) -> float:
    """Share of readouts whose nearest stored latent is the expected one."""
    unit = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    return float((np.argmax(readouts @ unit.T, axis=1) == np.array(expected)).mean())


def linear(addresses: Float32, latents: Float32, queries: Float32) -> Float64:
    """The paper's addressing: w = a·M_ref†, M_ref random K rows; M by ridge least squares."""
    rng = np.random.default_rng(0)
    to_slots = np.linalg.pinv(rng.standard_normal((K, addresses.shape[1])))  # (d, K)
    to_slots *= np.sqrt(addresses.shape[1])
    w = addresses @ to_slots
    memory = np.linalg.solve(w.T @ w + 1e-3 * np.eye(K), w.T @ latents)
    read: Float64 = queries @ to_slots @ memory
    return read


def capacity(addresses: Float32, paraphrases: Float32, latents: Float32) -> list[dict[str, Any]]:
    table = []
    for n in (K // 2, K, 2 * K, 4 * K):
        a, p, z = addresses[:n], paraphrases[:n], latents[:n]
        rephrased = range(len(p))
        view = stored(a, z, "fixed")
        gone = [page.rows[page.rows["state"] != FREE] for page in view.pages]
        assert view.fixed is not None
        rows = np.concatenate(gone)
        half = view.fixed.change(rows[: n // 2], rows[:0])
        after, _ = half.read(rows)
        table.append(
            {
                "N": n,
                "cue": recall(view.read(a).latent, z, range(n)),
                "paraphrase": recall(view.read(p).latent, z, rephrased),
                "linear, cue": recall(linear(a, z, a), z, range(n)),
                "linear, paraphrase": recall(linear(a, z, p), z, rephrased),
                "half forgotten: forgotten": recall(after[: n // 2], z, range(n // 2)),
                "half forgotten: retained": recall(after[n // 2 :], z, range(n // 2, n)),
                "policy grow, paraphrase": recall(stored(a, z).read(p).latent, z, rephrased),
            }
        )
    return table


def main() -> None:
    prompts, paraphrases = cases(Path(sys.argv[1]))
    encoder = AddressEncoder(SentenceEncoder(encoder_path()), Sketch(idf_table(prompts)))
    agents = [f"The badge number of agent {n:04d} is" for n in range(300)]
    asked = [f"What is the badge number of agent {n:04d}?" for n in range(50)]
    real, near, badge, badge_asked = (
        encoder.encode(texts).numpy() for texts in (prompts, paraphrases, agents, asked)
    )
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((len(real), LATENT), dtype=np.float32)
    noise = 1e-3 * rng.standard_normal((512, real.shape[1]), dtype=np.float32)
    close = real[:1] + noise
    close /= np.linalg.norm(close, axis=1, keepdims=True)
    write_results(
        "memory_quality",
        {
            "cases": len(prompts),
            "kernel against reference": {
                "CounterFact": errors(real, np.concatenate([real[:100], near[:100]]), latents),
                "300 templated cues": errors(
                    badge, np.concatenate([badge[:50], badge_asked]), latents[:300]
                ),
                "512 near duplicates": errors(close, close[:100], latents[:512]),
            },
            "capacity, K = 512": capacity(real, near, latents),
        },
    )


if __name__ == "__main__":
    main()
