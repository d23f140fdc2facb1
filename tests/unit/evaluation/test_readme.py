"""The pages' figures are those of the committed result files."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation import bars
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


def test_a_bar_is_held_by_the_whole_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    held = (("some", "edit", 0.3), ("some", "edit", 0.5), ("some", "edit", 0.7))
    most = (("some", "edit", -0.7), ("some", "edit", -0.5), ("some", "edit", -0.3))
    monkeypatch.setattr(bars, "BARS", held + most)
    shares = {"edit": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90}}
    rows = bars.table([{"suite": "some", "facts": 9, "shares": shares}]).splitlines()[2:]
    assert [row.split(" | ")[-1] for row in rows] == ["holds |", "within |", "**missed** |"] * 2
    assert "| ≤ 0.70 | 0.500 | 0.400-0.600 | 90 |" in rows[3]
