"""`larimar demo`: a fact edited before your eyes, over HTTP, in a service of its own.

Every step says what it expects and is held to it: with `--exit` the status is 0 only if all of
them showed it. The demonstration has a tenant for itself, made before and erased after.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.console import Console

from cli.http import service, stop
from cli.serve import announce, listen

if TYPE_CHECKING:
    from larimar_client import Larimar
    from larimar_client.models import ForgetReply, WriteReply
    from service.settings import Settings

app = typer.Typer(add_completion=False)
TENANT = "larimar-demo"
PROMPT = "The capital of France is"
REPHRASED = "France has as its capital the city of"
UNRELATED = "The largest planet in the solar system is"
TARGET = "Lyon"
START_SECONDS = 900  # the first start fetches and converts the model
STOP_SECONDS = 60


@app.command()
def demo(
    port: Annotated[int, typer.Option(envvar="LARIMAR_PORT", help="Port to listen on.")] = 8000,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the service's data.")] = None,
    leave: Annotated[
        bool, typer.Option("--exit", help="End after the demonstration; 0 if all steps held.")
    ] = False,
) -> None:
    """Start the service, watch a fact being edited, then go on serving until Ctrl-C.

    \b
    Examples:
      larimar demo
      larimar demo --port 9000 --exit
    """
    from service.auth import admin_key
    from service.settings import SettingsError, load

    console = Console(highlight=False)
    try:
        settings = load(port=port, data_dir=data_dir)
        # A taken port is found here, not by talking to a stranger.
        listen(settings.host, settings.port).close()
        key = admin_key(settings)
    except SettingsError as exc:
        stop(str(exc))
    started = _start(settings)
    held = False
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(console, started, url)
        with service(url, key or "none") as larimar:
            held = Demonstration(console, larimar).run()
        if not leave:
            console.print()
            announce(settings, port)
            started.wait()
    except KeyboardInterrupt:
        held = held or not leave
    finally:
        _stop(started)
    if not held:
        raise typer.Exit(1)


@dataclass
class Demonstration:
    """The six steps, and whether each held."""

    console: Console
    larimar: Larimar
    held: bool = True

    def run(self) -> bool:
        """True if every step showed what it should."""
        from larimar_client.errors import TenantNotFound

        with contextlib.suppress(TenantNotFound):
            self.larimar.delete_tenant(TENANT)  # what a killed demonstration left
        self.larimar.put_tenant(TENANT)
        try:
            self._steps()
        finally:
            self.larimar.delete_tenant(TENANT)
        verdict = "Every step held." if self.held else "Some step did not hold."
        self.console.print(verdict, style="bold green" if self.held else "bold red")
        return self.held

    def _steps(self) -> None:
        memory = self.larimar.tenant(TENANT)
        self._say("1. What the model says by itself")
        before = {prompt: self._ask(prompt) for prompt in (PROMPT, UNRELATED)}
        self._check("does not say Lyon", TARGET not in before[PROMPT])

        self._say(f'2. Write one fact: "{PROMPT} {TARGET}"')
        self._change(lambda: memory.write([{"prompt": PROMPT, "target": TARGET}]), "written")

        self._say("3. The very next generation uses it, in other words too")
        self._check("says Lyon", self._ask(PROMPT).strip().startswith(TARGET))
        self._check("says Lyon", self._ask(REPHRASED).strip().startswith(TARGET))

        self._say("4. Anything else is left alone, token for token")
        self._check("is unchanged", self._ask(UNRELATED) == before[UNRELATED])

        self._say("5. Forget it: nothing of it is left")
        self._change(lambda: memory.forget(prompts=[PROMPT]), "erased")

        self._say("6. The model says again what it said")
        self._check("is as before", self._ask(PROMPT) == before[PROMPT])

    def _say(self, title: str) -> None:
        self.console.print(f"\n{title}", style="bold")

    def _ask(self, prompt: str) -> str:
        text = self.larimar.tenant(TENANT).generate(prompt, max_new_tokens=12).text
        shown = " ".join(text.split())
        self.console.print(f"   {prompt} ", end="", markup=False)
        self.console.print(shown, style="cyan", markup=False)
        return text

    def _change(self, change: Callable[[], WriteReply | ForgetReply], expected: str) -> None:
        started = time.perf_counter()
        reply = change()
        ms = (time.perf_counter() - started) * 1000
        status = reply.results[0].status
        self._check(f"{status}, version {reply.version}, {ms:.0f} ms", status == expected)

    def _check(self, claim: str, holds: bool) -> None:
        mark, style = ("✓", "green") if holds else ("✗", "red")
        self.console.print(f"   {mark} {claim}", style=style)
        self.held = self.held and holds


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    """`larimar serve`, in a session of its own: Ctrl-C reaches it through us alone."""
    command = [sys.executable, "-m", "cli.main", "serve", "--host", "127.0.0.1"]
    command += ["--port", str(settings.port), "--data-dir", str(settings.data_path)]
    environment = {"LARIMAR_LOG_LEVEL": "warning"} | os.environ
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _wait(console: Console, service: subprocess.Popen[bytes], url: str) -> None:
    """Until the service is ready. Ends the command where the service has ended."""
    with console.status("Starting the service: the model is being loaded …"):
        for _ in range(START_SECONDS):
            if service.poll() is not None:
                raise typer.Exit(service.returncode or 1)
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/readyz", timeout=5).is_success:
                    return
            time.sleep(1)
    stop(f"the service was not ready after {START_SECONDS} s")


def _stop(service: subprocess.Popen[bytes]) -> None:
    """Like Ctrl-C, and patient: Valkey's files are closed by the service."""
    if service.poll() is None:
        service.send_signal(signal.SIGINT)
    service.wait(STOP_SECONDS)
