"""The console for those who use a keyboard or a screen reader, or a small screen."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.test_console import OFFICE, PROMPT, ask, write_many

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds, as rule and places."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [{v["id"]: [node["html"] for node in v["nodes"]]} for v in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(memory: Page, served: Served, scheme: Any) -> None:
    memory.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    assert violations(memory) == []  # an empty memory
    write_many(memory, OFFICE)
    memory.get_by_label("Tokens").fill("4")
    ask(memory, "Project Halcyon is led by")
    memory.get_by_text("The rows as a table").click()
    memory.get_by_text("Many at once").click()
    memory.get_by_label("One fact a line").fill("=> nothing before")
    memory.get_by_role("button", name="Write all").click()
    expect(memory.get_by_role("alert").filter(has_text="Nothing was written")).to_be_visible()
    memory.get_by_role("button", name="Forget: Project Halcyon").click()
    expect(memory.locator("#change del")).to_be_visible()
    assert violations(memory) == []
    memory.get_by_role("tab", name="Documents").click()
    assert violations(memory) == []
    memory.get_by_role("button", name="New", exact=True).click()
    assert violations(memory) == []
    memory.get_by_role("button", name="Back").click()
    memory.locator("#ask-code").click()
    expect(memory.get_by_role("dialog")).to_be_visible()
    assert violations(memory) == []
    memory.get_by_role("button", name="Close").click()
    memory.get_by_role("button", name="Forget key").click()
    assert violations(memory) == []


def test_everything_can_be_done_without_a_mouse(memory: Page) -> None:
    memory.get_by_label("When the prompt is").focus()
    memory.keyboard.type(PROMPT)
    memory.keyboard.press("Tab")
    memory.keyboard.type("Lyon")
    memory.keyboard.press("Enter")
    expect(memory.locator("#facts li")).to_have_count(1)
    expect(memory.get_by_label("When the prompt is")).to_be_focused()

    memory.get_by_role("link", name="Skip to the question").press("Enter")
    expect(memory.locator("#prompt")).to_be_focused()
    memory.keyboard.type(PROMPT)
    memory.keyboard.press("Enter")
    expect(memory.locator("#edited-text")).to_contain_text("Lyon")

    memory.get_by_role("tab", name="Facts").press("ArrowRight")
    expect(memory.get_by_role("tab", name="Documents")).to_be_focused()
    expect(memory.get_by_label("A text")).to_be_visible()
    memory.keyboard.press("ArrowLeft")

    memory.get_by_role("button", name=f"Forget: {PROMPT} Lyon").press("Enter")
    expect(memory.locator("#facts li")).to_have_count(0)
    expect(memory.get_by_label("When the prompt is")).to_be_focused()


def test_a_small_screen_needs_no_sideways_scrolling(memory: Page) -> None:
    memory.set_viewport_size({"width": 360, "height": 700})
    write_many(memory, [*OFFICE, "x" * 100])
    ask(memory, "x" * 100)
    memory.get_by_text("The rows as a table").click()
    for table in ("#matches", "#rows"):  # a fact stays readable beside its numbers
        fact = memory.locator(f"{table} tbody td").first.bounding_box()
        assert fact
        assert fact["width"] > 80
    assert memory.evaluate("document.documentElement.scrollWidth") <= 360
    memory.get_by_role("tab", name="Documents").click()
    assert memory.evaluate("document.documentElement.scrollWidth") <= 360
    memory.locator("#ask-code").click()
    assert memory.evaluate("document.documentElement.scrollWidth") <= 360
