"""A real Chromium before a real service process. Nothing on the page may go wrong unseen.

`--screenshots` writes the pictures of the documentation, best with `--engine=real`.
`scripts/browser` installs Chromium.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.processes import ROOT, free_port

ASSETS = ROOT / "docs/images"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = {"fake": 120_000, "real": 180_000}
MODEL_SETTINGS = {"LARIMAR_CHECKPOINT", "LARIMAR_DECODER", "LARIMAR_ENCODER", "LARIMAR_DEVICE"}
_numbers = itertools.count()
START_SECONDS = 300  # the real engine loads a model


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write docs/images/console*.png")


@dataclass(frozen=True)
class Served:
    """A service to look at."""

    url: str
    key: str

    @property
    def console(self) -> str:
        return f"{self.url}/console"

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="package")
def served(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Served]:
    real = pytestconfig.getoption("--engine") == "real"
    command = ["-m", "cli.main", "serve"] if real else ["-m", "benchmarks.fake_service", "0.01"]
    with _serving(command, tmp_path_factory.mktemp("console")) as one:
        yield one


@contextmanager
def _serving(command: list[str], data: Path) -> Iterator[Served]:
    """A ready process with its own port and data folder."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = {name for name in os.environ if name.startswith("LARIMAR_")} - MODEL_SETTINGS
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment |= {"LARIMAR_PORT": str(port), "LARIMAR_DATA_DIR": str(data)}
    environment |= {"LARIMAR_DRAIN_DELAY": "0", "LARIMAR_LOG_LEVEL": "error"}
    popen = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _ready(url):
            assert popen.poll() is None, "the service has ended"
            assert time.monotonic() < deadline, "the service does not start"
            time.sleep(0.1)
        yield Served(url, (data / "admin.key").read_text().strip())
    finally:
        popen.terminate()
        popen.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=START_SECONDS).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "scripts/browser installs Chromium"
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield one
        one.close()


@pytest.fixture
def page(browser: Browser, served: Served, pytestconfig: pytest.Config) -> Iterator[Page]:
    """A new visitor's page: an error, a refused resource or a stranger's address fails the test."""
    patience = PATIENCE_MS[pytestconfig.getoption("--engine")]
    expect.set_options(timeout=patience)
    context = browser.new_context(viewport={"width": 1360, "height": 1000})
    context.set_default_timeout(patience)
    one = context.new_page()
    wrong: list[str] = []
    one.on("pageerror", lambda error: wrong.append(str(error)))
    one.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    one.on(
        "request",
        lambda sent: wrong.append(sent.url) if not sent.url.startswith(served.url) else None,
    )
    yield one
    context.close()
    # A refused call is shown to the visitor, and Chromium notes its status as an error.
    assert [w for w in wrong if not w.startswith("Failed to load resource")] == []


@pytest.fixture
def tenant(served: Served) -> str:
    """A new tenant of the test's own."""
    name = f"tenant-{next(_numbers)}"
    with served.client() as client:
        client.put(f"/v1/tenants/{name}").raise_for_status()
    return name


@pytest.fixture
def memory(page: Page, served: Served, tenant: str) -> Page:
    """The console with that tenant open."""
    page.goto(f"{served.console}#key={served.key}&tenant={tenant}")
    expect(page.locator("#work")).to_be_visible()
    expect(page.get_by_label("Tenant", exact=True)).to_have_value(tenant)
    return page


@pytest.fixture
def shoot(pytestconfig: pytest.Config, page: Page) -> Callable[[str], None]:
    """Takes a picture of the page for the documentation, if asked to."""

    def take(name: str) -> None:
        if pytestconfig.getoption("screenshots", False):
            ASSETS.mkdir(parents=True, exist_ok=True)
            page.evaluate("document.activeElement.blur()")
            page.screenshot(path=ASSETS / f"{name}.png", animations="disabled")

    return take
