"""Edits that live in the prompt: nothing, the fact itself, and IKE's demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.baselines.decoder import PlainDecoder
from evaluation.cases import Case


class Unedited:
    """The decoder as it is: what any edit is measured from."""

    def __init__(self, decoder: PlainDecoder) -> None:
        self.decoder = decoder
        self.prefix = ""

    def edit(self, case: Case) -> None:
        """Nothing happens."""

    def reset(self) -> None:
        self.prefix = ""

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        return self.decoder.generate([self.prefix + p for p in prompts], tokens)


class InPrompt(Unedited):
    """The edit of the case, as a sentence before every prompt: no retrieval, no gate."""

    def edit(self, case: Case) -> None:
        self.prefix = f"{case.prompt} {case.target}.\n"


class IKE(Unedited):
    """In-context editing (Zheng et al. 2023, arXiv 2305.12740): demonstrations, then the fact.

    A demonstration shows a new fact and a prompt that it answers (copy, update) or one that it
    must leave alone (retain). They are the same for every edit here; IKE picks nearest ones.
    """

    def __init__(self, decoder: PlainDecoder, demonstrations: Sequence[Case]) -> None:
        super().__init__(decoder)
        self.shown = "".join(_shown(case, i) for i, case in enumerate(demonstrations))

    def edit(self, case: Case) -> None:
        self.prefix = f"{self.shown}New Fact: {case.prompt} {case.target}\nPrompt: "


def _shown(case: Case, turn: int) -> str:
    kinds = (
        f"{case.prompt} {case.target}",
        f"{case.paraphrases[0]} {case.target}",
        f"{case.neighbours[0]} {case.true}",
    )
    return f"New Fact: {case.prompt} {case.target}\nPrompt: {kinds[turn % 3]}\n\n"
