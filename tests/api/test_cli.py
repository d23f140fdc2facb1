"""The verbs over real HTTP, and the demonstration held to its own word."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli import demo
from cli.main import VERBS, app
from tests.api.calls import CAPITAL, Tenant
from tests.api.running import ADMIN_KEY, Running


class Cli:
    """`larimar …` against the running service."""

    def __init__(self, url: str, key: str, tenant: str) -> None:
        self._env = {"LARIMAR_URL": url, "LARIMAR_KEY": key, "LARIMAR_TENANT": tenant}

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=self._env)

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture
def cli(running: Running, tenant: Tenant) -> Cli:
    return Cli(running.url, ADMIN_KEY, tenant.name)


def test_help_names_every_verb() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for verb in VERBS:
        assert f" {verb} " in shown
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2


def test_write_ask_forget(cli: Cli) -> None:
    assert cli.ok("write", CAPITAL, "Lyon").startswith("written f-")
    assert cli.ok("write", CAPITAL, "Nice").startswith("replaced f-")
    shown = cli.ok("ask", CAPITAL).splitlines()
    assert shown[0].startswith("base    base ")
    assert shown[1] == "edited  Nice"
    assert shown[2].startswith("used    f-")
    assert cli.json("ask", CAPITAL)["auto"]["results"][0]["in_scope"]
    assert cli.ok("forget", CAPITAL).startswith("erased")
    assert cli.run("forget", CAPITAL).exit_code == 1
    assert cli.ok("ask", CAPITAL).splitlines()[2].startswith("used    no fact")
    assert cli.json("write", "Ada is on call")["results"][0]["status"] == "written"
    assert cli.ok("forget", "--suppress", "Ada is on call").startswith("suppressed")


def test_tenants(cli: Cli) -> None:
    assert "at most 7 facts" in cli.ok("tenants", "create", "by-cli", "--quota-facts", "7")
    assert "by-cli" in cli.ok("tenants", "list").split()
    assert json.loads(cli.ok("tenants", "show", "by-cli"))["quota"]["facts"] == 7
    assert cli.ok("tenants", "delete", "by-cli", "--yes") == "erased by-cli\n"
    assert "404 tenant_not_found" in cli.run("tenants", "show", "by-cli").output


def test_keys(cli: Cli, running: Running) -> None:
    made = cli.json("keys", "create", "-t", "a", "-t", "b", "-s", "read", "--days", "1")
    assert made["tenants"] == ["a", "b"]
    assert f"{made['id']}  a,b  read  never used" in cli.ok("keys", "list")
    rotated = cli.ok("keys", "rotate", made["id"]).strip()
    assert rotated.startswith(f"lrm_{made['id']}_")
    assert cli.ok("keys", "revoke", made["id"]) == f"revoked {made['id']}\n"
    assert made["id"] not in cli.ok("keys", "list")


def test_errors_are_one_line(cli: Cli, running: Running) -> None:
    blank = cli.run("write", " ", "x")
    assert (blank.exit_code, len(blank.output.splitlines())) == (1, 1)
    assert blank.output.startswith("422 blank_text")
    wrong = Cli(running.url, "lrm_wrong_key", "default").run("ask", "x")
    assert wrong.output.startswith("401 unauthenticated")
    away = Cli("http://127.0.0.1:9", ADMIN_KEY, "default").run("ask", "x")
    assert (away.exit_code, len(away.output.splitlines())) == (1, 1)
    assert "larimar serve" in away.output


def test_config_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARIMAR_ADMIN_KEY", "a-secret-of-mine-1")
    monkeypatch.setenv("LARIMAR_REDIS_URL", "redis://:hunter2@localhost")
    shown = CliRunner().invoke(app, ["config"]).output
    assert json.loads(shown)["port"] == 8000
    assert "secret" not in shown
    assert "hunter2" not in shown


def test_the_demonstration_holds_only_if_every_step_does(
    admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fake engine knows a cue by its words alone: it misses the true rephrasing …
    assert not demo.Demonstration(Console(quiet=True), admin).run()
    # … and finds one of the same words.
    monkeypatch.setattr(demo, "REPHRASED", "Is France the capital of")
    assert demo.Demonstration(Console(quiet=True), admin).run()
    assert admin.get(f"/v1/tenants/{demo.TENANT}").status_code == 404
