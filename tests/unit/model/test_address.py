from __future__ import annotations

import torch

from service.model.address import BUCKETS, Sketch, idf_table, words


def test_numbers_dates_and_versions_stay_whole() -> None:
    assert words("Agent 0042 pays 1,299.50 on 2031-04-05 for v2.3.1!") == [
        "agent", "0042", "pays", "1,299.50", "on", "2031-04-05", "for", "v2.3.1",
    ]  # fmt: skip


def test_cues_that_differ_in_one_number_part() -> None:
    cues = [f"The badge number of agent {i:04d} is" for i in range(300)]
    sketch = Sketch(idf_table(cues))
    table = sketch(cues) @ sketch(cues).T
    assert torch.allclose(table.diagonal(), torch.ones(300), atol=1e-5)
    assert table.fill_diagonal_(0).max() < 0.9


def test_a_text_without_words_is_a_zero_sketch() -> None:
    assert not Sketch(torch.ones(BUCKETS))(["?!"]).any()
