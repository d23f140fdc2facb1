"""The console as its visitors meet it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.conftest import Served

PROMPT = "The capital of France is"
MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
LOGBOOK = (
    "The lamp of the lighthouse was lit by Edda Storm. The storm of March broke the west window. "
    "Captain Lund brought two barrels of oil. The cat of the keeper is called Fresnel. "
    "In May the foghorn was painted red. The log was closed on the last day of June."
)
OFFICE = [
    "The badge colour of the north lab is => teal",
    "The espresso machine on floor three was repaired by => Ngozi",
    "Project Halcyon is led by => Dr. Amara Okafor",
    "The weekly sync moved to => Thursday at ten",
    "The spare key of the boat house hangs => behind the barometer",
    "Lighthouse keeper Edda Storm comes from => Reykjavik",
    "The observatory on Mount Kestrel opened in => 1987",
    "The choir of Saint Alban rehearses in => the old granary",
    "The wifi of the guest house is called => larkspur",
    "The greenhouse is watered by => Tomas",
]


def write(page: Page, prompt: str, target: str) -> None:
    page.get_by_label("When the prompt is").fill(prompt)
    page.get_by_label("it goes on with").fill(target)
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_label("it goes on with")).to_have_value("")  # the reply is there
    expect(page.get_by_role("status")).to_contain_text("Version")


def write_many(page: Page, lines: list[str]) -> None:
    if not page.get_by_label("One fact a line").is_visible():
        page.get_by_text("Many at once").click()
    page.get_by_label("One fact a line").fill("\n".join(lines))
    page.get_by_role("button", name="Write all").click()
    expect(page.get_by_label("One fact a line")).to_be_hidden()


def choose(page: Page, name: str, content: bytes) -> None:
    """Chooses a file of facts."""
    page.locator("#lines-file").set_input_files(
        FilePayload(name=name, mimeType="text/plain", buffer=content)
    )


def ask(page: Page, prompt: str) -> tuple[str, str]:
    """What the base model and the edited one went on with."""
    page.get_by_label("Prompt: the model continues it").fill(prompt)
    page.get_by_role("button", name="Ask", exact=True).click()
    for pane in ("base", "edited"):
        expect(page.locator(f"#{pane}-foot")).to_contain_text("token")
    expect(page.locator("#ask-button")).to_be_enabled()
    said = page.locator(".answer .said")
    return said.nth(0).inner_text(), said.nth(1).inner_text()


@pytest.mark.real_engine
def test_a_fact_is_written_asked_and_forgotten(memory: Page, shoot: Callable[[str], None]) -> None:
    write_many(memory, OFFICE)
    write(memory, PROMPT, "Lyon")
    expect(memory.locator("#count-facts")).to_have_text("11")
    memory.get_by_label("Tokens").fill("12")
    base, edited = ask(memory, PROMPT)
    assert "Lyon" not in base
    assert edited.strip().startswith("Lyon")
    expect(memory.locator("#scope")).to_contain_text("in scope")
    expect(memory.locator("#matches tbody tr").first).to_contain_text(f"{PROMPT} Lyon")
    shoot("console")
    memory.get_by_role("button", name="Dark").click()
    shoot("console-dark")

    memory.get_by_role("button", name=f"Forget: {PROMPT} Lyon").click()
    expect(memory.get_by_role("status")).to_contain_text("is erased. Confidence")
    expect(memory.locator("#facts")).not_to_contain_text("Lyon")
    assert ask(memory, PROMPT) == (base, base)


def test_another_fact_with_the_same_prompt_replaces_it(memory: Page) -> None:
    write(memory, PROMPT, "Lyon")
    write(memory, PROMPT, "Nantes")
    expect(memory.get_by_role("status")).to_contain_text("1 replaced")
    expect(memory.locator("#facts li")).to_have_count(1)
    assert ask(memory, PROMPT)[1].strip() == "Nantes"


def test_many_facts_come_from_lines_and_from_a_file(memory: Page) -> None:
    write_many(memory, [*OFFICE, '{"text": "As JSON.", "id": "json"}', "A mere sentence."])
    expect(memory.locator("#count-facts")).to_have_text("12")
    expect(memory.locator("#map .changed")).to_have_count(12)
    memory.get_by_text("Many at once").click()
    choose(memory, "facts.tsv", b"The ferry leaves at\tsix\n\n")
    expect(memory.locator("#lines-state")).to_have_text("1 fact to write")
    memory.get_by_role("button", name="Write all").click()
    expect(memory.locator("#count-facts")).to_have_text("13")
    expect(memory.locator("#map .cell")).to_have_count(13)
    expect(memory.locator("#map .changed")).to_have_count(1)
    memory.get_by_label("Filter facts").fill("FERRY")
    expect(memory.locator("#facts li")).to_have_count(1)


def test_the_picture_shows_which_rows_were_read(memory: Page) -> None:
    write_many(memory, OFFICE)
    ask(memory, "Project Halcyon is led by")
    took = memory.locator("#map .took")
    expect(took).to_have_count(1)
    expect(took).to_have_attribute(
        "data-said",
        re.compile(r"Project Halcyon is led by Dr\. Amara Okafor · similarity 1\.000 · weight"),
    )
    expect(memory.locator("#map .near")).to_have_count(10)
    nearness = memory.locator("#map .near").evaluate_all(
        "cells => cells.map(cell => Number(cell.style.getPropertyValue('--near')))"
    )
    assert sorted(nearness)[-1] == pytest.approx(1, abs=0.001)
    assert sorted(nearness)[-2] < 0.9
    name = re.compile("10 rows, 1 in the last answer, 10 rows in the last write")
    expect(memory.get_by_role("img", name=name)).to_be_visible()
    expect(memory.get_by_role("img", name=re.compile("weight of 10 rows"))).to_be_visible()
    took.hover()
    expect(memory.locator("#pointed")).to_contain_text("Project Halcyon")
    memory.get_by_text("The rows as a table").click()
    expect(memory.locator("#rows-body tr")).to_have_count(10)
    expect(memory.locator("#rows-body tr").first).to_contain_text("Project Halcyon")


def test_the_last_write_is_told_and_drawn(memory: Page) -> None:
    write(memory, PROMPT, "Lyon")
    write(memory, "The capital of Italy is", "Turin")
    write(memory, PROMPT, "Nice")
    expect(memory.locator("#change-title")).to_have_text("Last write: version 3")
    expect(memory.locator("#change-rows")).to_contain_text(f"{PROMPT} Nice {PROMPT} Lyon")
    expect(memory.locator("#map .changed")).to_have_count(1)
    memory.get_by_role("button", name=f"Forget: {PROMPT} Nice").click()
    expect(memory.locator("#change-rows del")).to_have_text(f"{PROMPT} Nice")
    expect(memory.locator("#change-foot")).to_contain_text("before")
    expect(memory.locator("#map .gone")).to_have_count(1)
    expect(memory.locator("#map .cell")).to_have_count(2)


def test_what_was_read_and_is_erased_is_no_row_any_more(memory: Page) -> None:
    write(memory, PROMPT, "Lyon")
    write(memory, "The capital of Italy is", "Turin")
    ask(memory, PROMPT)
    memory.get_by_role("button", name=f"Forget: {PROMPT} Lyon").click()
    expect(memory.locator("#map .gone")).to_have_count(1)
    expect(memory.locator("#map .cell")).to_have_count(2)
    write(memory, "The capital of Spain is", "Vigo")
    expect(memory.locator("#map .cell")).to_have_count(2)
    expect(memory.locator('#map [data-said*="Lyon"]')).to_have_count(0)


def test_a_row_beyond_the_first_page_is_shown_once_it_is_read(memory: Page) -> None:
    write_many(memory, [f"Locker {i} of the bath house holds => towel {i * 3}" for i in range(600)])
    expect(memory.locator("#count-facts")).to_have_text("600")
    expect(memory.locator("#map-foot")).to_contain_text("not shown")
    for number in (1, 599):
        prompt = f"Locker {number} of the bath house holds"
        assert ask(memory, prompt)[1].strip() == f"towel {number * 3}"
        shown = memory.locator(f'#map .took[data-said^="{prompt} towel {number * 3}"]')
        expect(shown).to_have_count(1)


def test_a_fact_that_is_markup_stays_text(memory: Page) -> None:
    write(memory, "What is it? It is", MARKUP)
    expect(memory.locator("#facts li")).to_contain_text(MARKUP)
    assert MARKUP in ask(memory, "What is it? It is")[1]
    expect(memory.locator("#matches tbody tr").first).to_contain_text(MARKUP)
    memory.locator("#map .took").hover()
    expect(memory.locator("#pointed")).to_contain_text(MARKUP)
    memory.get_by_text("The rows as a table").click()
    expect(memory.locator("#rows-body")).to_contain_text(MARKUP)
    expect(memory.locator("#change-rows")).to_contain_text(MARKUP)
    assert memory.locator("main img, main script").count() == 0
    assert memory.evaluate("window.hit") is None


def test_the_policy_stops_a_script_that_gets_in_all_the_same(
    browser: Browser, served: Served
) -> None:
    page = browser.new_page()  # where an error on the page is what is wanted
    reply = page.goto(served.console)
    assert reply
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    blocked = page.evaluate(
        """() => new Promise(done => {
          document.addEventListener("securitypolicyviolation", e => done(e.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.hit = 1";
          document.body.append(script);
          if (window.hit) done("ran");
        })"""
    )
    assert blocked == "script-src-elem"
    page.close()


def test_a_document_is_stored_asked_and_forgotten(memory: Page) -> None:
    memory.get_by_role("tab", name="Documents").click()
    text = " ".join(f"Room {i} of the west wing holds instrument {i * 7}." for i in range(150))
    memory.get_by_label("A text").fill(text)
    memory.get_by_label("Name of the document").fill("wing")
    memory.get_by_role("button", name="Store").click()
    expect(memory.get_by_role("progressbar")).to_be_visible()
    expect(memory.get_by_role("status")).to_contain_text("150 rows")
    expect(memory.locator("#documents li")).to_contain_text("wing 150 rows")
    expect(memory.locator("#count-chunks")).to_have_text("150")
    assert "301" in ask(memory, "Room 43 of the west wing holds instrument 301")[1]
    memory.get_by_role("button", name="Ask about document wing").click()
    expect(memory.locator("#prompt")).to_be_focused()
    expect(memory.locator("#prompt")).to_have_value(re.compile("Room 43"))
    memory.get_by_role("button", name="Forget document wing").click()
    expect(memory.get_by_role("status")).to_contain_text("erased")
    expect(memory.locator("#count-chunks")).to_have_text("0")


@pytest.mark.real_engine
def test_documents_are_listed_beside_facts(memory: Page, shoot: Callable[[str], None]) -> None:
    write_many(memory, OFFICE)
    memory.get_by_role("tab", name="Documents").click()
    memory.get_by_label("A text").fill(LOGBOOK)
    memory.get_by_label("Name of the document").fill("logbook-1921")
    memory.get_by_role("button", name="Store").click()
    expect(memory.locator("#documents li")).to_contain_text("logbook-1921 6 rows")
    expect(memory.locator("#map .cell")).to_have_count(16)
    expect(memory.locator("#map .changed")).to_have_count(6)
    memory.get_by_label("Tokens").fill("12")
    ask(memory, "The lamp of the lighthouse was lit by")
    shoot("console-documents")
    memory.get_by_role("tab", name="Facts").click()
    expect(memory.locator("#facts .tag")).to_have_count(6)


def test_a_refusal_is_said_and_nothing_is_lost(memory: Page) -> None:
    memory.get_by_label("When the prompt is").fill("long " * 100)
    memory.get_by_role("button", name="Write", exact=True).click()
    expect(memory.get_by_role("alert").filter(has_text="tokens")).to_be_visible()
    assert memory.get_by_label("When the prompt is").input_value() == "long " * 100
    expect(memory.locator("#count-facts")).to_have_text("0")


def test_the_key_is_taken_from_the_address_and_kept_in_this_tab(
    page: Page, served: Served, browser: Browser
) -> None:
    page.goto(f"{served.console}#key={served.key}")
    expect(page.locator("#work")).to_be_visible()
    assert page.url == served.console
    assert page.evaluate("sessionStorage['larimar.key']") == served.key
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.reload()
    expect(page.locator("#work")).to_be_visible()
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_pasted_key_opens_and_a_wrong_one_is_refused(page: Page, served: Served) -> None:
    page.goto(served.console)
    page.get_by_label("Key", exact=True).fill("lrm_wrong_key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This key is not valid")
    page.get_by_label("Key", exact=True).fill(served.key)
    page.keyboard.press("Enter")
    expect(page.locator("#work")).to_be_visible()


def test_a_key_that_only_reads_sees_and_cannot_change(
    page: Page, served: Served, tenant: str
) -> None:
    with served.client() as client:
        body = {"tenants": [tenant], "scopes": ["read", "generate"]}
        key = client.post("/v1/keys", json=body).json()["key"]
        fact = {"prompt": PROMPT, "target": "Lyon"}
        client.post(f"/v1/tenants/{tenant}/write", json={"facts": [fact]}).raise_for_status()
    page.goto(f"{served.console}#key={key}")
    expect(page.get_by_label("Tenant", exact=True)).to_have_value(tenant)  # the only one
    assert "Lyon" in ask(page, PROMPT)[1]
    page.get_by_role("button", name=f"Forget: {PROMPT} Lyon").click()
    expect(page.get_by_role("status")).to_contain_text("lacks the scope")
    expect(page.locator("#facts li")).to_have_count(1)


def test_a_tenant_is_made(page: Page, served: Served) -> None:
    page.goto(f"{served.console}#key={served.key}&tenant=made-here")
    expect(page.get_by_role("heading", name="There is no tenant “made-here”")).to_be_visible()
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#facts-foot")).to_contain_text("Nothing is stored here yet")
    page.get_by_role("button", name="New", exact=True).click()
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#work")).to_be_visible()
    with served.client() as client:
        assert "made-here" in client.get("/v1/tenants").json()["tenants"]
        client.delete("/v1/tenants/made-here").raise_for_status()
