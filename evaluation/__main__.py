"""`python -m evaluation`: puts the committed results into README.md and docs/quality.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation import bars, report
from service.model.checkpoint import DEFAULT

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TRAINING = ROOT / "training" / "results"  # of ablations.py and lengths.py
README, QUALITY = ROOT / "README.md", ROOT / "docs" / "quality.md"


def tables() -> dict[Path, dict[str, str]]:
    """What stands between `<!-- NAME -->` and `<!-- end of NAME -->` in each page."""
    suites, editors = report.read(RESULTS), report.editors(RESULTS / "baselines")
    full = "\n\n".join(f"{report.table(body)}\n\n{report.made(body)}" for body in suites)
    return {
        README: {"results": report.headline(suites)},
        QUALITY: {"bars": bars.table(suites), "gate": report.grid([_gate()]),
                  "results": full, "editors": report.comparison(editors),
                  "conditioning": report.grid(_training("ablations")["rows"]),
                  "codec": report.grid(_codecs("codec") + _codecs("lengths"))},
    }  # fmt: skip


def _training(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TRAINING / f"{name}.json").read_text("utf-8"))
    return found


def _gate() -> dict[str, Any]:
    """How well the shipped gate ranks, and how far its confidence is from its hits."""
    found = json.loads((DEFAULT / "card.json").read_text("utf-8"))["quality"]["scope"]
    return {"AUC": found["auc"], "ECE": found["ece"], "N": int(found["n"])}


def _codecs(name: str) -> list[dict[str, Any]]:
    """A row for each codec and kind of text."""
    return [{"codec": codec, "text": text, **row}
            for codec, texts in _training(name)["codecs"].items()
            for text, row in texts.items()]  # fmt: skip


def refreshed(page: str, sections: dict[str, str]) -> str:
    """The page with its marked sections replaced. Raises ValueError if a marker is missing."""
    for name, text in sections.items():
        first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if not 0 <= page.find(first) < page.find(last):
            raise ValueError(f"no section {name}")
        before, rest = page.split(first, 1)
        page = f"{before}{first}{text}\n{last}{rest.split(last, 1)[1]}"
    return page


if __name__ == "__main__":
    from evaluation.plots import draw

    for path, sections in tables().items():
        path.write_text(refreshed(path.read_text("utf-8"), sections), "utf-8")
    draw(report.read(RESULTS), report.editors(RESULTS / "baselines"), QUALITY.with_suffix(".png"))
