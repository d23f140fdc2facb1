"""`python -m evaluation.baselines METHOD --data DIR`: one method, measured and written down.

Result files go to a folder of their own; `python -m evaluation` makes one table of them.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from evaluation import report
from evaluation.api import BaseCache
from evaluation.baselines.decoder import PlainDecoder
from evaluation.baselines.finetune import FTM
from evaluation.baselines.grace import Grace
from evaluation.baselines.measure import EACH, Method, single, together
from evaluation.baselines.prompting import IKE, InPrompt, Unedited
from evaluation.baselines.retrieval import Ceiling, Retrieval
from evaluation.baselines.rome import Rome
from evaluation.cases import Case, counterfact, running_text
from evaluation.result import Result
from evaluation.suites.counterfact import neighbours
from service.model.checkpoint import DEFAULT
from service.model.larimar import LarimarModel

PASSAGES = 200  # of running text, for ROME's statistics
DEMONSTRATIONS = 9  # of IKE; from cases that are not asked


def plan(name: str, data: Path, checkpoint: Path) -> tuple[Method, bool, bool]:
    """The method, and whether it is measured edit by edit, and together."""
    if name in ("latent", "retrieval", "subject-match"):
        by_subject, latent = name == "subject-match", name == "latent"
        model = LarimarModel.load(checkpoint)
        return Retrieval(model, by_subject=by_subject, latent=latent), False, True
    if name == "ceiling":
        return Ceiling(LarimarModel.load(checkpoint)), False, True
    decoder = PlainDecoder()
    makers: dict[str, tuple[Callable[[], Method], bool, bool]] = {
        "unedited": (lambda: Unedited(decoder), False, True),
        "in-prompt": (lambda: InPrompt(decoder), True, False),
        "ike": (lambda: IKE(decoder, counterfact(data, 900)[-DEMONSTRATIONS:]), True, False),
        "ft-m": (lambda: FTM(decoder), True, True),
        "grace": (lambda: Grace(decoder), True, True),
        "rome": (lambda: Rome(decoder, _passages(data)), True, True),
    }
    make, alone, added = makers[name]
    return make(), alone, added


def _passages(data: Path) -> list[str]:
    return random.Random(0).sample(running_text(data), PASSAGES)


def base_answers(cases: Sequence[Case], cache: Path | None) -> dict[str, str]:
    """What the plain decoder says to the neighbours of the cases, of all and of each alone."""
    prompts = dict.fromkeys(p for c in cases for p in neighbours([c], EACH))
    prompts |= dict.fromkeys(neighbours(cases, EACH))
    kept = BaseCache(cache, "plain")
    new = [p for p in prompts if p not in kept.texts]
    if new:
        kept.texts.update(zip(new, PlainDecoder().generate(new, 8), strict=True))
        kept.save()
    return kept.texts


def measure(chosen: argparse.Namespace) -> Iterator[Result]:
    name, alone, sizes = chosen.method, chosen.alone, chosen.sizes
    cases = counterfact(chosen.data, max(alone, *sizes))
    base = base_answers(cases, chosen.cache)
    method, one_by_one, added = plan(name, chosen.data, chosen.checkpoint)
    if one_by_one and alone:
        yield single(name, method, cases[:alone], base)
    if added:
        yield from together(name, method, cases, base, sizes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.baselines", description=__doc__)
    parser.add_argument("method")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--alone", type=int, default=30, help="edits measured one by one")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200], help="edits together")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT)
    parser.add_argument("--cache", type=Path, help="folder that keeps base answers between runs")
    parser.add_argument("--out", type=Path, default=Path("results"))
    chosen = parser.parse_args()
    torch.manual_seed(0)
    started = time.monotonic()
    sizes = " ".join(map(str, chosen.sizes))
    command = (f"python -m evaluation.baselines {chosen.method} --data DIR "
               f"--alone {chosen.alone} --sizes {sizes}")  # fmt: skip
    for result in measure(chosen):
        print(report.write(result, chosen.out, command, time.monotonic() - started))


if __name__ == "__main__":
    main()
