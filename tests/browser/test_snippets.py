"""What "As code" shows is run, in a shell and in Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from benchmarks.processes import ROOT
from tests.browser.conftest import Served

PROMPT = 'It\'s called "Halcyon" in'
TARGET = "Ngozi's $HOME"


@pytest.mark.parametrize("language", ["curl", "python"])
def test_the_code_does_what_the_page_does(memory: Page, served: Served, language: str) -> None:
    memory.get_by_label("When the prompt is").fill(PROMPT)
    memory.get_by_label("it goes on with").fill(TARGET)
    memory.locator("#write-code").click()
    assert "written" in _run(memory, served, language)
    memory.get_by_role("button", name="Close").click()

    memory.get_by_role("button", name="Refresh").click()
    expect(memory.locator("#facts li")).to_contain_text(f"{PROMPT} {TARGET}")
    memory.get_by_label("Prompt: the model continues it").fill(PROMPT)
    memory.locator("#ask-code").click()
    assert TARGET in _run(memory, served, language)


def _run(page: Page, served: Served, language: str) -> str:
    """The standard output of the code that is shown."""
    expect(page.get_by_role("dialog")).to_be_visible()
    code = page.locator(f"#code-{language}").inner_text()
    assert served.key not in code
    command = ["bash", "-c"] if language == "curl" else [sys.executable, "-c"]
    environment = os.environ | {
        "LARIMAR_KEY": served.key,
        "PYTHONPATH": str(ROOT / "clients/python"),
    }
    done = subprocess.run(
        [*command, code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout
