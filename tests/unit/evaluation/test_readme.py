"""The README's figures are those of the committed result files."""

from __future__ import annotations

from evaluation.__main__ import RESULTS, ROOT, SECTION, refreshed


def test_the_readme_shows_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert list(RESULTS.glob("*.json"))
    assert SECTION.search(readme)
    assert refreshed(readme) == readme
