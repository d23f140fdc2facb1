"""The pages' figures are those of the committed result files."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.__main__ import README, RESULTS, refreshed, tables
from evaluation.metrics import share
from evaluation.plots import draw
from evaluation.report import comparison, read, table, write
from evaluation.result import Result


def test_the_pages_show_the_committed_results() -> None:
    assert list(RESULTS.glob("*.json"))
    for path, sections in tables().items():
        page = path.read_text("utf-8")
        assert refreshed(page, sections) == page


def test_a_page_without_its_section_is_an_error() -> None:
    with pytest.raises(ValueError, match="no section results"):
        refreshed("# A page", {"results": "a table"})
    assert "<!-- results -->" in README.read_text("utf-8")


def test_results_are_read_back_as_tables_and_a_picture(tmp_path: Path) -> None:
    result = Result("rome-2", 2, {"edit": share([True, False])}, {"seconds per edit": 0.5})
    shown = write(result, tmp_path, "python -m evaluation.baselines rome", 1.0)
    (body,) = read(tmp_path)
    assert table(body) == shown
    assert "| edit | 0.500 |" in shown
    assert "| rome | 2 | 0.50 [0.00, 1.00] (2) |" in comparison([body])
    draw([body], [body], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
