"""Whatever the documentation tells to type is typed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import blocks
from tests.docs.blocks import Runner
from tests.docs.commands import ROOT, check

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "clients/python/README.md",
    ROOT / "helm/larimar/README.md",
    ROOT / "training/recipe.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
WITH_BLOCKS = [page for page in PAGES if "```" in page.read_text("utf-8")]


@pytest.mark.real_engine
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks(page: Path, runner: Runner) -> None:
    blocks.run(page, runner)


@pytest.mark.parametrize(
    "block",
    [
        "```bash\nfalse\necho here\n```",
        "```python\nassert 1 == 2\n```",
        '```bash\necho 1\n```\n\n```text title="output"\n2\n```',
        "```bash\ncurl http://127.0.0.1:8000/v1/nothing\n```",
        "```json\n{nothing}\n```",
        "```yaml\nnothing: 1\n```",
        "```toml\na = 1\n```",
    ],
)
def test_a_failing_block_is_noticed(block: str, tmp_path: Path, runner: Runner) -> None:
    (tmp_path / "page.md").write_text(f"# Page\n\n{block}\n", "utf-8")
    with pytest.raises((AssertionError, ValueError)):
        blocks.run(tmp_path / "page.md", runner)


@pytest.mark.parametrize(
    "command",
    [
        "larimar nothing",
        "larimar serve --nothing",
        "helm install x helm/larimar --set nothing=1",
        "docker build --build-arg NOTHING=1 .",
        "scripts/nothing",
        "if",
    ],
)
def test_a_command_that_cannot_be_right_is_noticed(command: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check(command)
