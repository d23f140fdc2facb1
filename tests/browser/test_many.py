"""Many facts at once: lines and files, each line with its own error; long lists."""

from __future__ import annotations

from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Served
from tests.browser.test_console import ask, choose, write_many

CSV = (
    b"prompt,target,id,ttl_seconds\r\n"
    b'"The motto, as carved, is","""Onward""\nand upward",motto,86400\r\n'
    b"The gate opens at,six,,\r\n"
)


def open_many(page: Page) -> None:
    if not page.get_by_label("One fact a line").is_visible():
        page.get_by_text("Many at once").click()


def test_a_csv_keeps_its_commas_quotes_and_line_ends(memory: Page, served: Served) -> None:
    open_many(memory)
    choose(memory, "facts.csv", CSV)
    expect(memory.locator("#lines-state")).to_have_text("2 facts to write")
    memory.get_by_role("button", name="Write all").click()
    expect(memory.locator("#count-facts")).to_have_text("2")
    tenant = memory.get_by_label("Tenant", exact=True).input_value()
    with served.client() as client:
        motto = client.get(f"/v1/tenants/{tenant}/facts/motto").json()
    assert motto["prompt"] == "The motto, as carved, is"
    assert motto["target"] == '"Onward"\nand upward'
    assert motto["expires_at"] - motto["created_at"] > 80_000
    expect(memory.locator("#facts")).to_contain_text("until")


def test_a_csv_without_known_columns_is_refused(memory: Page) -> None:
    open_many(memory)
    choose(memory, "facts.csv", b"question,answer\na,b\n")
    expect(memory.get_by_role("alert").filter(has_text="names its columns")).to_be_visible()


def test_lines_that_cannot_be_read_are_named_before_anything_is_sent(memory: Page) -> None:
    sent: list[Request] = []
    memory.on("request", lambda one: sent.append(one) if one.url.endswith("/write") else None)
    open_many(memory)
    lines = memory.get_by_label("One fact a line")
    lines.fill('The sky is => blue\n\n{"prompt": \n=> nothing before\na => b => c')
    wrong = memory.get_by_role("list", name="Lines that were refused").get_by_role("button")
    for i, said in enumerate(("Line 3 is not JSON", "Line 4 needs one", "Line 5 needs one")):
        expect(wrong.nth(i)).to_contain_text(said)
    memory.get_by_role("button", name="Write all").click()
    expect(memory.get_by_role("alert").filter(has_text="Nothing was written")).to_be_visible()
    wrong.nth(1).click()
    expect(lines).to_be_focused()
    chosen = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
    assert lines.evaluate(chosen) == "=> nothing before"
    assert sent == []


def test_lines_that_the_service_refuses_are_named_and_all_stay(memory: Page) -> None:
    open_many(memory)
    lines = memory.get_by_label("One fact a line")
    text = "\n".join(["The sky is => blue", "", "word " * 100 + "=> x", "The sea is => deep"])
    lines.fill(text)
    memory.get_by_role("button", name="Write all").click()
    wrong = memory.get_by_role("list", name="Lines that were refused").get_by_role("button")
    expect(wrong).to_have_count(1)
    expect(wrong).to_contain_text("Line 3 has more than")
    expect(memory.get_by_role("alert").filter(has_text="None of these 3")).to_be_visible()
    expect(lines).to_have_value(text)
    expect(memory.locator("#count-facts")).to_have_text("0")
    lines.fill("The sky is => blue")
    expect(wrong).to_have_count(0)


def test_beyond_a_call_what_is_written_leaves_the_field(memory: Page) -> None:
    good = [f"Locker {i} of the bath house holds => towel {i}" for i in range(1100)]
    good[1050] = "word " * 100 + "=> x"
    open_many(memory)
    memory.get_by_label("One fact a line").fill("\n".join(good))
    memory.get_by_role("button", name="Write all").click()
    expect(memory.get_by_role("alert").filter(has_text="None of these 100")).to_be_visible()
    expect(memory.locator("#count-facts")).to_have_text("1,000")
    left = memory.get_by_label("One fact a line").input_value().split("\n")
    assert left == good[1000:]
    wrong = memory.get_by_role("list", name="Lines that were refused").get_by_role("button")
    expect(wrong).to_contain_text("Line 51 ")
    wrong.click()
    chosen = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
    assert "word word" in memory.get_by_label("One fact a line").evaluate(chosen)


def test_a_long_list_is_shown_in_parts(memory: Page) -> None:
    write_many(memory, [f"Locker {i} of the bath house holds => towel {i}" for i in range(620)])
    expect(memory.locator("#facts li")).to_have_count(100)
    for count in (200, 300, 400, 500, 600, 620):
        memory.get_by_role("button", name="Show more").click()
        expect(memory.locator("#facts li")).to_have_count(count)
    expect(memory.get_by_role("button", name="Show more")).to_be_hidden()
    memory.get_by_label("Filter facts").fill("no such thing")
    expect(memory.locator("#facts-foot")).to_have_text("No fact holds “no such thing”.")


def test_where_not_every_row_is_read_the_rest_has_a_bound(memory: Page) -> None:
    write_many(memory, [f"Locker {i} of the bath house holds => towel {i}" for i in range(200)])
    ask(memory, "Locker 7 of the bath house holds")
    expect(memory.locator("#map .near")).to_have_count(64)
    memory.locator("#map .cell:not(.near)").first.hover()
    expect(memory.locator("#pointed")).to_contain_text("similarity below 0.")
