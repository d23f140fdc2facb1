"""The verbs over real HTTP, and the demonstration held to its own word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer import Context
from typer.main import get_command
from typer.testing import CliRunner, Result

import benchmarks
from cli import bench, demo
from cli.main import VERBS, app
from larimar_client import Larimar
from tests.api.calls import CAPITAL, Tenant, ok
from tests.api.running import ADMIN_KEY, Running

CSV = """prompt,target,id,ttl_seconds,metadata
"The motto, as carved, is","Onward
and upward",motto,86400,"{""by"": ""Ada""}"
The gate opens at,six,,,
"""


class Cli:
    """`larimar …` against the running service."""

    def __init__(self, url: str, key: str, tenant: str) -> None:
        self._env = {"LARIMAR_URL": url, "LARIMAR_KEY": key, "LARIMAR_TENANT": tenant}

    def run(self, *arguments: str | Path, stdin: str = "", **env: str) -> Result:
        words = [str(one) for one in arguments]
        return CliRunner().invoke(app, words, env=self._env | env, input=stdin)

    def ok(self, *arguments: str | Path, stdin: str = "") -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture
def cli(running: Running, tenant: Tenant) -> Cli:
    return Cli(running.url, ADMIN_KEY, tenant.name)


def commands() -> Iterator[list[str]]:
    """Every verb, and every verb of a verb."""
    for verb in VERBS:
        command = get_command(app).get_command(Context(get_command(app)), verb)  # type: ignore[attr-defined]
        yield from [[verb, name] for name in getattr(command, "commands", ())] or [[verb]]


def test_help_names_every_verb() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for verb in VERBS:
        assert f" {verb} " in shown
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_teaches_by_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    _, example, rest = result.output.partition("Example")
    assert example
    assert f"larimar {' '.join(command)}" in rest


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


def test_a_fact_has_an_id_and_a_time_to_live(cli: Cli, tenant: Tenant) -> None:
    shown = cli.ok("write", CAPITAL, "Lyon", "--id", "capital", "--ttl", "60")
    assert shown.split()[1] == "capital"
    (fact,) = tenant.facts()
    assert fact["expires_at"] - fact["created_at"] == pytest.approx(60, abs=5)
    assert cli.json("forget", "--id", "capital")["results"][0]["status"] == "erased"


def test_facts_of_a_csv(cli: Cli, tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text(CSV)
    assert cli.ok("write", "--from", path).startswith("2 written, 0 replaced")
    motto = next(fact for fact in tenant.facts() if fact["id"] == "motto")
    assert (motto["target"], motto["metadata"]) == ("Onward\nand upward", {"by": "Ada"})
    assert motto["expires_at"]
    assert cli.ok("write", "--from", path).startswith("0 written, 2 replaced")


def test_many_facts_in_several_changes_and_back_as_lines(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "facts.jsonl"
    lines = [
        json.dumps({"prompt": f"Locker {i} holds", "target": f"towel {i}"}) for i in range(600)
    ]
    path.write_text("\n".join(lines))
    shown = cli.run("write", "--from", path, "--json", FORCE_COLOR="1", TERM="xterm")
    reply = json.loads(shown.stdout)
    assert (reply["version"], len(reply["results"])) == (3, 600)
    assert "100%" in shown.stderr  # the bar, where somebody watches
    listed = cli.ok("facts", "--json")
    assert len(listed.splitlines()) == 600
    assert "Locker 7 holds towel 7" in cli.ok("facts")
    assert cli.ok("write", "--from", "-", stdin=listed).startswith("0 written, 600 replaced")
    assert tenant.client.get(tenant.path).json()["counts"]["facts"] == 600


def test_a_file_is_checked_before_anything_is_sent(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    bad = tmp_path / "facts.jsonl"
    for text, said in [
        ('{"text": "Fine."}\n{oops\n[]', ["line 2: is not JSON", "line 3: is not an object"]),
        ('{"text": "x", "kind": "chunk"}', ["line 1: is a chunk"]),
        ("\n", ["holds no facts"]),
        ("\n".join(["{"] * 30), ["line 20: is not JSON\nand 10 lines more"]),
    ]:
        bad.write_text(text)
        result = cli.run("write", "--from", bad)
        assert result.exit_code == 1
        assert all(one in result.stderr for one in said), result.stderr
    table = tmp_path / "facts.csv"
    for text, message in [
        ("question,answer\na,b\n", "no column 'question'"),
        ("prompt,target\na,b,c\n", "line 2: has more fields"),
        ("text,ttl_seconds\na,soon\n", "line 2: ttl_seconds is a number"),
    ]:
        table.write_text(text)
        assert message in cli.run("write", "--from", table).stderr
    assert "cannot be read" in cli.run("write", "--from", tmp_path / "none.csv").stderr
    assert cli.run("write").exit_code == 2
    assert cli.run("write", "x", "--from", bad).exit_code == 2
    assert tenant.facts() == []


def test_a_refusal_names_the_line_and_what_was_written(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "facts.jsonl"
    facts = [{"text": f"Locker {i} is locked."} for i in range(300)]
    facts[280] = {"text": "long " * 100}
    path.write_text("\n".join(json.dumps(fact) for fact in facts))
    result = cli.run("write", "--from", path)
    assert result.exit_code == 1
    assert f"{path} line 281: has more than" in result.stderr
    assert "250 facts" in result.stderr
    assert tenant.client.get(tenant.path).json()["counts"]["facts"] == 250


def test_documents(cli: Cli, tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "wing.txt"
    path.write_text(" ".join(f"Room {i} of the wing holds harp {i}." for i in range(130)))
    tenant.client.put(tenant.path, json={"quota": {"facts": 70}}).raise_for_status()
    assert "quota_exceeded" in cli.run("documents", "add", path, "--id", "wing").stderr
    assert cli.ok("documents", "list") == "wing  partial  64 of 130 rows\n"
    tenant.client.put(tenant.path, json={"quota": {"facts": 1000}}).raise_for_status()
    shown = cli.run("documents", "add", path, "--id", "wing", FORCE_COLOR="1", TERM="xterm")
    assert shown.stdout.startswith("wing: complete, 130 rows")
    assert "100%" in shown.stderr
    assert cli.json("documents", "list")["documents"][0]["chunks_done"] == 130
    assert cli.json("documents", "add", path, "--id", "wing")["status"] == "complete"
    assert cli.ok("documents", "forget", "wing").startswith("erased wing: 130 rows")
    assert "document_not_found" in cli.run("documents", "forget", "wing").stderr
    assert "cannot be read" in cli.run("documents", "add", tmp_path / "none").stderr


def test_snapshots(cli: Cli, tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    cli.ok("write", CAPITAL, "Lyon")
    assert cli.json("snapshot", "export", path)["bytes"] == path.stat().st_size
    assert "exists already" in cli.run("snapshot", "export", path).stderr
    cli.ok("forget", CAPITAL)
    assert cli.ok("snapshot", "import", path).startswith("1 facts")
    assert tenant.text(CAPITAL).strip() == "Lyon"
    path.write_bytes(b"something else")
    assert "snapshot_invalid" in cli.run("snapshot", "import", path).stderr
    missing = cli.run("snapshot", "export", tmp_path / "two", "--tenant", "no-such-tenant")
    assert "tenant_not_found" in missing.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["one.safetensors"]


def test_the_key_of_this_machine_is_found(
    running: Running, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARIMAR_DATA_DIR", str(tmp_path))
    cli = Cli(running.url, "", tenant.name)
    assert "no key" in cli.run("facts").stderr
    (tmp_path / "admin.key").write_text(f"{ADMIN_KEY}\n")
    assert cli.ok("facts") == ""
    assert cli.ok("facts", "--url", running.url.replace("127.0.0.1", "localhost")) == ""
    # It is this machine's: another one, which may be anybody's, never gets it.
    for elsewhere in ("http://127.0.0.1.elsewhere.invalid", "http://localhost@192.0.2.1", "http:"):
        refused = cli.run("facts", "--url", elsewhere)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "LARIMAR_KEY" in refused.stderr


def test_benchmarks_are_listed_and_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = CliRunner().invoke(app, ["bench"]).output
    assert "memory_speed         What the memory costs" in listed
    assert "memory_facts" not in listed  # a part of others
    wrong = CliRunner().invoke(app, ["bench", "no-such"])
    assert wrong.exit_code == 1
    assert "memory_speed" in wrong.stderr
    (tmp_path / "echoed.py").write_text(
        '"""Says what it was given."""\nimport sys\n'
        'if __name__ == "__main__":\n    print(sys.argv[1:])\n'
    )
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(benchmarks, "__path__", [str(tmp_path)])
    given = CliRunner().invoke(app, ["bench", "echoed", "read", "--quick"])
    assert (given.exception, given.output) == (None, "['read', '--quick']\n")


def test_tenants(cli: Cli, admin: httpx.Client) -> None:
    assert "at most 7 facts" in cli.ok("tenants", "create", "by-cli", "--quota-facts", "7")
    assert "by-cli" in cli.ok("tenants", "list").split()
    shown = json.loads(cli.ok("tenants", "show", "by-cli"))
    assert shown["quota"]["facts"] == 7
    assert shown == ok(admin.get("/v1/tenants/by-cli"))
    assert cli.json("tenants", "create", "by-cli") == shown
    assert cli.json("tenants", "list") == ok(admin.get("/v1/tenants"))
    assert "policy" in cli.run("tenants", "create", "by-cli", "--policy", "shrink").stderr
    assert cli.ok("tenants", "delete", "by-cli", "--yes") == "erased by-cli\n"
    assert "404 tenant_not_found" in cli.run("tenants", "show", "by-cli").output
    refused = cli.run("tenants", "delete", "by-cli")  # asks, and nobody answers
    assert refused.exit_code == 1


def test_keys(cli: Cli, admin: httpx.Client) -> None:
    made = cli.json("keys", "create", "-t", "a", "-t", "b", "-s", "read", "--days", "1")
    listed = cli.json("keys", "list")
    assert listed == ok(admin.get("/v1/keys"))
    assert {name: made[name] for name in made if name != "key"} in listed["keys"]
    assert made["expires_at"] - made["created_at"] == pytest.approx(86400, abs=60)
    assert f"{made['id']}  a,b  read  never used" in cli.ok("keys", "list")
    everything = cli.ok("keys", "create", "-t", "*", "-s", "admin")
    assert f"{everything.split('_')[1]}  *  admin  never used" in cli.ok("keys", "list")
    assert "scopes" in cli.run("keys", "create", "-t", "a", "-s", "fly").stderr
    rotated = cli.ok("keys", "rotate", made["id"]).strip()
    assert rotated.startswith(f"lrm_{made['id']}_")
    assert cli.ok("keys", "revoke", made["id"]) == f"revoked {made['id']}\n"
    assert made["id"] not in cli.ok("keys", "list")
    assert "404 key_not_found" in cli.run("keys", "revoke", made["id"]).stderr


def test_the_audit_log_is_read_to_its_end(cli: Cli, admin: httpx.Client) -> None:
    cli.ok("write", CAPITAL, "Lyon")
    lines = [json.loads(line) for line in cli.ok("audit").splitlines()]
    assert lines[-1]["action"] == "write"
    assert lines[-1] == ok(admin.get(f"/v1/audit?after={lines[-2]['id']}"))["entries"][0]
    assert cli.ok("audit", "--after", lines[-1]["id"]) == ""
    assert "invalid_request" in cli.run("audit", "--after", "yesterday").stderr


def test_errors_are_one_line(cli: Cli, running: Running) -> None:
    blank = cli.run("write", " ", "x")
    assert (blank.exit_code, len(blank.output.splitlines())) == (1, 1)
    assert blank.output.startswith("422 blank_text")
    wrong = Cli(running.url, "lrm_wrong_key", "default").run("ask", "x")
    assert wrong.output.startswith("401 unauthenticated")
    away = Cli("http://127.0.0.1:9", ADMIN_KEY, "default").run("ask", "x")
    assert (away.exit_code, len(away.output.splitlines())) == (1, 1)
    assert "larimar serve" in away.output
    for url, key in (("localhost:8000", "k"), ("http://here:there", "k"), (running.url, "k\n")):
        wrong = Cli(url, key, "default").run("facts")
        assert (wrong.exit_code, len(wrong.output.splitlines())) == (1, 1), wrong.output
        assert "cannot be asked" in wrong.output


def test_config_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARIMAR_ADMIN_KEY", "a-secret-of-mine-1")
    monkeypatch.setenv("LARIMAR_REDIS_URL", "redis://:hunter2@localhost")
    shown = CliRunner().invoke(app, ["config"]).output
    assert json.loads(shown)["port"] == 8000
    assert "secret" not in shown
    assert "hunter2" not in shown


def test_the_demonstration_holds_only_if_every_step_does(
    running: Running, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Larimar(running.url, ADMIN_KEY) as larimar:
        # The fake engine knows a cue by its words alone: it misses the true rephrasing …
        assert not demo.Demonstration(Console(quiet=True), larimar).run()
        # … and finds one of the same words.
        monkeypatch.setattr(demo, "REPHRASED", "Is France the capital of")
        assert demo.Demonstration(Console(quiet=True), larimar).run()
    assert admin.get(f"/v1/tenants/{demo.TENANT}").status_code == 404
