"""How much policy `fixed` holds: recall at N = K/2, K, 2K, 4K beside the paper's memory.

`python -m evaluation.capacity --data DIR` encodes CounterFact's prompts with the address encoder
as it ships and writes benchmarks/results/capacity.json, docs/capacity.md and its picture. Recall:
of all stored latents (random here, so that none helps another) the one nearest to the readout is
the right one. Error: how far the readout is from it, by the latent's own length.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.report import write_results
from evaluation.baselines.linear import LinearMemory
from memory_store.fixed import Float64
from memory_store.pages import FREE, K, Rows
from memory_store.store import Fact, Float32, MemorySpec, Policy, ReadParams
from memory_store.view import View, build_view
from service.model import lora
from service.model.address import AddressEncoder, Sketch
from service.model.checkpoint import Checkpoint
from service.model.encoder import SentenceEncoder
from service.model.weights import encoder_path

LATENT = 1024
PAGE = Path(__file__).parent.parent / "docs" / "capacity.md"
# arXiv 2403.11901: recall to K and at 2K; of a memory of K, half of it forgotten
PAPER = {"to K": 1.0, "at 2K": 0.82, "forgotten": 0.001, "retained": 0.997}
Row = dict[str, float]


def shipped_encoder() -> AddressEncoder:
    tensors = Checkpoint().tensors("address.safetensors")
    sentence = SentenceEncoder(encoder_path())
    encoder = AddressEncoder(sentence, Sketch(tensors.pop("idf")))
    lora.load(sentence.adapters, tensors)
    return encoder


def prompts(data: Path) -> tuple[list[str], list[str]]:
    """4K prompts of CounterFact, and a paraphrase of each of the first ones: edited prompts, each
    once, then neighbours (the file has 1,056 edits with paraphrases)."""
    found: dict[str, str] = {}
    neighbours: dict[str, None] = {}
    for case in json.loads((data / "counterfact" / "full_dev.json").read_text("utf-8")):
        rewrite = case["requested_rewrite"]
        prompt = rewrite["prompt"].format(rewrite["subject"])
        found.setdefault(prompt, case["paraphrase_prompts"][0])
        neighbours |= dict.fromkeys(case["neighborhood_prompts"])
    others = [prompt for prompt in neighbours if prompt not in found]
    return [*found, *others][: 4 * K], list(found.values())


def stored(addresses: Float32, latents: Float32, policy: Policy = "grow") -> View:
    spec = MemorySpec(addresses.shape[1], latents.shape[1], "evaluation")
    pairs = zip(addresses, latents, strict=True)
    facts = [Fact(f"cue {i}", address, latent, id=f"{i}") for i, (address, latent) in
             enumerate(pairs)]  # fmt: skip
    return build_view(facts, spec, ReadParams(floor=-1.0), policy)


def stored_rows(view: View) -> Rows:
    return np.concatenate([page.rows[page.rows["state"] != FREE] for page in view.pages])


def recall(readouts: Float32 | Float64, latents: Float32, expected: range) -> float:
    unit = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    return float((np.argmax(readouts @ unit.T, axis=1) == np.array(expected)).mean())


def error(readouts: Float32, latents: Float32) -> float:
    far = np.linalg.norm(readouts - latents, axis=1) / np.linalg.norm(latents, axis=1)
    return float(far.mean())


def recalls(n: int, addresses: Float32, paraphrases: Float32, latents: Float32) -> Row:
    """Of a memory of the first n."""
    a, p, z = addresses[:n], paraphrases[:n], latents[:n]
    view, linear, half = stored(a, z, "fixed"), LinearMemory(a, z), n // 2
    assert view.fixed is not None
    rows = stored_rows(view)
    after, _ = view.fixed.change(rows[:half], rows[:0]).read(rows)
    read = view.read(a).latent
    return {
        "N": n,
        "cue": recall(read, z, range(n)),
        "error": error(read, z),
        "paraphrase": recall(view.read(p).latent, z, range(len(p))),
        "linear, cue": recall(linear.read(a), z, range(n)),
        "linear, paraphrase": recall(linear.read(p), z, range(len(p))),
        "grow, cue": recall(stored(a, z).read(a).latent, z, range(n)),
        "grow, paraphrase": recall(stored(a, z).read(p).latent, z, range(len(p))),
        "forgotten": recall(after[:half], z, range(half)),
        "retained": recall(after[half:], z, range(half, n)),
    }


def page(rows: Sequence[Row], stamp: dict[str, Any]) -> str:
    names = [name for name in rows[0] if name != "N"]
    lines = [
        "# How much a memory of fixed size holds", "",
        f"Policy `fixed` keeps K = {K} rows of {LATENT} numbers whatever is written. N facts "
        "(CounterFact's prompts, the address encoder as it ships, random latents): the share whose "
        "own latent is nearest to what is read, by the cue and by a paraphrase. *Error*: how far "
        "what the cue reads is from that latent, by its length. *Linear* is the "
        "paper's addressing, w = a·M_ref†, in the same size; *grow* the default policy. "
        "*Forgotten* and *retained*: read by their cues after the first half was forgotten.", "",
        f"| N | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|",
        *(f"| {row['N']} | " + " | ".join(f"{row[name]:.3f}" for name in names) + " |"
          for row in rows), "",
        "Which latent was meant is easier to tell than what it was. Beyond K what is read is a "
        "mixture in which the right one has a weight of about K/N and each other much less: it "
        "stays the nearest, while the error grows as √(1 - K/N), and a decoder needs the latent "
        "itself. Paraphrases hold up because `fixed` moves a query to the nearest stored address "
        "before it reads.", "",
        "Linear addressing does not, and is worst for them at N = K: there its system is square "
        "and nearly singular, M is as large as it must be to meet every latent exactly, and what "
        "a paraphrase differs by is multiplied by it. With more facts than rows least squares "
        "meets them on average only, with a smaller M, and more paraphrases are read right "
        "(double descent).", "",
        f"The paper (arXiv 2403.11901, other latents and cues): about {PAPER['to K']:.0%} to "
        f"N = K, {PAPER['at 2K']:.0%} at 2K; forgotten {PAPER['forgotten']}, retained "
        f"{PAPER['retained']}.", "",
        "![Recall against N](capacity.png)", "",
        f"`python -m evaluation.capacity`, revision {stamp['revision']}, {stamp['date']}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def draw(rows: Sequence[Row], image: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    n = [row["N"] for row in rows]
    for name in (name for name in rows[0] if name != "N"):
        style = "--" if "paraphrase" in name else ":" if name in ("forgotten", "retained") else "-"
        axes.plot(n, [row[name] for row in rows], style, marker="o", markersize=3, label=name)
    axes.plot(
        [K / 2, K, 2 * K], [PAPER["to K"], PAPER["to K"], PAPER["at 2K"]], "kx", label="paper"
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(n, [f"{int(x)}" for x in n])
    axes.set(xlabel="facts written", ylabel="recall; error", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(image, dpi=80, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    cues, asked = prompts(parser.parse_args().data)
    encoder = shipped_encoder()
    addresses, paraphrases = (encoder.encode(texts).numpy() for texts in (cues, asked))
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((len(addresses), LATENT), dtype=np.float32)
    rows = [recalls(n, addresses, paraphrases, latents) for n in (K // 2, K, 2 * K, 4 * K)]
    result: dict[str, Any] = {"K": K, "latent": LATENT, "rows": rows, "paper": PAPER}
    stamp = write_results("capacity", result)
    PAGE.write_text(page(rows, stamp), "utf-8")
    draw(rows, PAGE.with_suffix(".png"))


if __name__ == "__main__":
    main()
