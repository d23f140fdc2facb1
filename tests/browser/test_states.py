"""What a visitor sees while things go wrong, wait or are stopped. Faults stand between the page
and the real service; the service's own refusals are real."""

from __future__ import annotations

import json

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Served
from tests.browser.test_console import PROMPT, ask, write

AWAY = {"error": {"code": "store_unavailable", "message": "the store is away", "param": None}}


def away(route: Route) -> None:
    headers = {"Retry-After": "3", "Content-Type": "application/json"}
    route.fulfill(status=503, body=json.dumps(AWAY), headers=headers)


def is_post(route: Route) -> bool:
    return route.request.method == "POST"


def stale(route: Route) -> None:
    reply = route.fetch()
    route.fulfill(response=reply, json=reply.json() | {"stale": True})


def test_answers_are_stopped_by_escape_and_by_the_button(memory: Page) -> None:
    memory.route("**/generate", lambda route: None)  # never answered
    for stop in ("Escape", "Stop"):
        memory.get_by_label("Prompt: the model continues it").fill(PROMPT)
        memory.keyboard.press("Enter")
        expect(memory.locator("#edited")).to_have_attribute("aria-busy", "true")
        button = memory.get_by_role("button", name="Stop", exact=True)
        expect(button).to_be_visible()
        if stop == "Escape":
            memory.keyboard.press("Escape")
        else:
            button.press("Enter")
        for pane in ("base", "edited"):
            expect(memory.locator(f"#{pane}-foot")).to_have_text("Stopped.")
        expect(button).to_be_hidden()
        expect(memory.locator("#prompt")).to_be_focused()
    memory.unroute("**/generate")
    assert ask(memory, PROMPT)[0]


def test_what_the_prompt_says_on_two_lines_is_one_question(memory: Page) -> None:
    write(memory, "The tide turns at", "nine")
    memory.get_by_label("Prompt: the model continues it").fill("Good morning.")
    memory.keyboard.press("Shift+Enter")
    memory.keyboard.type("The tide turns at")
    high = memory.locator("#prompt").evaluate("e => e.clientHeight")
    expect(memory.locator("#base-foot")).to_have_text("")
    memory.keyboard.press("Enter")
    expect(memory.locator("#base-foot")).to_contain_text("token")
    expect(memory.locator("#base-text .asked")).to_have_text("Good morning.\nThe tide turns at")
    memory.locator("#prompt").fill("short")
    assert memory.locator("#prompt").evaluate("e => e.clientHeight") < high


def test_a_store_that_is_away_is_said_beside_what_was_asked(memory: Page) -> None:
    memory.route("**/write", away)
    memory.get_by_label("When the prompt is").fill(PROMPT)
    memory.get_by_role("button", name="Write", exact=True).click()
    problem = memory.get_by_role("alert").filter(has_text="the store is away")
    expect(problem).to_contain_text("Try again in 3 s.")
    assert memory.get_by_label("When the prompt is").input_value() == PROMPT
    memory.unroute("**/write")
    memory.get_by_role("button", name="Write", exact=True).click()
    expect(memory.locator("#count-facts")).to_have_text("1")
    expect(problem).to_have_count(0)


def test_what_is_typed_while_a_write_runs_stays(memory: Page) -> None:
    held: list[Route] = []
    memory.route("**/write", lambda route: held.append(route))
    cue, target = memory.get_by_label("When the prompt is"), memory.get_by_label("it goes on with")
    cue.fill(PROMPT)
    target.fill("Lyon")
    target.press("Enter")
    expect(memory.get_by_role("button", name="Write", exact=True)).to_be_disabled()
    cue.fill("The next fact is")
    held.pop().continue_()
    expect(target).to_have_value("")
    expect(cue).to_have_value("The next fact is")
    expect(cue).to_be_focused()

    memory.get_by_text("Many at once").click()
    lines = memory.get_by_label("One fact a line")
    lines.fill("The gate opens at => six\n")
    memory.get_by_role("button", name="Write all").click()
    expect(memory.get_by_role("button", name="Write all")).to_be_disabled()
    lines.press("ControlOrMeta+End")
    lines.press_sequentially("The gate closes at => ten")
    held.pop().continue_()
    expect(memory.locator("#count-facts")).to_have_text("2")
    expect(lines).to_have_value("The gate closes at => ten")
    expect(memory.locator("#lines-state")).to_have_text("1 fact to write")
    expect(cue).to_have_value("The next fact is")


def test_a_document_typed_while_another_is_stored_stays(memory: Page) -> None:
    held: list[Route] = []
    memory.route("**/documents", lambda r: held.append(r) if is_post(r) else r.continue_())
    memory.get_by_role("tab", name="Documents").click()
    text = memory.get_by_label("A text")
    text.fill("The lamp was lit by Edda.")
    memory.get_by_role("button", name="Store", exact=True).click()
    expect(memory.get_by_role("button", name="Pause")).to_be_visible()
    text.fill("The cat is called Fresnel.")
    held.pop().continue_()
    expect(memory.get_by_role("status")).to_contain_text("is stored, 1 row")
    expect(text).to_have_value("The cat is called Fresnel.")
    expect(text).to_be_focused()


def test_an_answer_from_the_cache_says_so_until_the_store_is_back(memory: Page) -> None:
    memory.route("**/read", stale)
    ask(memory, PROMPT)
    expect(memory.locator("#away")).to_contain_text("The store is away")
    memory.unroute("**/read")
    ask(memory, PROMPT)
    expect(memory.locator("#away")).to_be_hidden()


def test_a_service_that_cannot_be_reached_keeps_the_key(page: Page, served: Served) -> None:
    page.route("**/v1/tenants", lambda route: route.abort())
    page.goto(f"{served.console}#key={served.key}")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/v1/tenants")
    page.route("**/v1/tenants", away)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("the store is away")
    page.unroute("**/v1/tenants")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#work")).to_be_visible()


def test_a_key_that_is_revoked_leads_back_to_the_gate(
    page: Page, served: Served, tenant: str
) -> None:
    with served.client() as client:
        body = {"tenants": [tenant], "scopes": ["read", "generate"]}
        made = client.post("/v1/keys", json=body).json()
        page.goto(f"{served.console}#key={made['key']}&tenant={tenant}")
        expect(page.locator("#work")).to_be_visible()
        client.delete(f"/v1/keys/{made['id']}").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("alert")).to_contain_text("no longer")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_document_that_stopped_goes_on(memory: Page, served: Served, tenant: str) -> None:
    with served.client() as client:
        quota = {"quota": {"facts": 70}}
        client.put(f"/v1/tenants/{tenant}", json=quota).raise_for_status()
    memory.get_by_role("tab", name="Documents").click()
    text = " ".join(f"Room {i} of the west wing holds instrument {i * 7}." for i in range(150))
    memory.get_by_label("A text").fill(text)
    memory.get_by_label("Name of the document").fill("wing")
    memory.get_by_role("button", name="Store", exact=True).click()
    expect(memory.get_by_role("alert").filter(has_text="quota")).to_be_visible()
    expect(memory.locator("#documents li")).to_contain_text("64 of 150 rows")
    expect(memory.locator("#count-chunks")).to_have_text("64")
    with served.client() as client:
        quota = {"quota": {"facts": 1000}}
        client.put(f"/v1/tenants/{tenant}", json=quota).raise_for_status()
    memory.get_by_role("button", name="Go on with document wing").click()
    expect(memory.get_by_role("status")).to_contain_text("is stored, 150 rows")
    expect(memory.locator("#count-chunks")).to_have_text("150")


def test_a_document_is_paused(memory: Page) -> None:
    memory.get_by_role("tab", name="Documents").click()
    memory.get_by_label("A text").fill("The lamp was lit by Edda.")
    memory.route("**/documents", lambda route: None if is_post(route) else route.continue_())
    memory.get_by_role("button", name="Store", exact=True).click()
    memory.get_by_role("button", name="Pause").click()
    expect(memory.get_by_role("status")).to_contain_text("paused before its first row")
    expect(memory.locator("#change")).to_be_hidden()
    assert memory.get_by_label("A text").input_value() == "The lamp was lit by Edda."
    memory.unroute("**/documents")
    memory.get_by_role("button", name="Store", exact=True).click()
    expect(memory.locator("#documents li")).to_contain_text("1 row")


def test_the_theme_lasts_as_long_as_the_tab(memory: Page) -> None:
    memory.emulate_media(color_scheme="light")
    memory.get_by_role("button", name="Dark").click()
    memory.reload()
    expect(memory.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    assert memory.evaluate("document.documentElement.dataset.theme") == "dark"
