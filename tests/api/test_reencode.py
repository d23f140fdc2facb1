"""Two checkpoints in a rolling upgrade: the new one refuses, `larimar reencode` swaps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from benchmarks.processes import process, until
from cli.main import app
from memory_store.embedded import EmbeddedValkey
from service.engine.fake import BYTES, FakeEngine
from tests.api.balancer import Balancer
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.running import ADMIN_KEY, Running, listening, settings
from tests.api.test_generation import events

CALLS = {
    "write": {"facts": [FACT]},
    "read": {"queries": [CAPITAL]},
    "generate": {"prompt": CAPITAL},
    "score": {"items": [{"prompt": CAPITAL, "targets": ["Lyon"]}]},
    "forget": {"ids": ["mine"]},
    "documents": {"text": "A sentence."},
}
TEXT = "First we met in Lyon. Then we went home. It was late."


@pytest.fixture
def store_url(tmp_path: Path) -> Iterator[str]:
    """A Valkey of its own: a re-encoding of everything must find only what is meant."""
    server = EmbeddedValkey(tmp_path / "valkey")
    yield server.start()
    server.stop()


@pytest.fixture
def old(store_url: str) -> Iterator[Running]:
    with listening(settings(store_url), FakeEngine()) as one:
        yield one


@pytest.fixture
def new(store_url: str) -> Iterator[Running]:
    with listening(settings(store_url), FakeEngine(checkpoint=2)) as one:
        yield one


def larimar(url: str, *arguments: str, **more: str) -> Result:
    env = {"LARIMAR_URL": url, "LARIMAR_KEY": ADMIN_KEY, **more}
    return CliRunner().invoke(app, ["reencode", *arguments], env=env)


def filled(client: httpx.Client, name: str) -> Tenant:
    tenant = Tenant(client, name)
    client.put(tenant.path).raise_for_status()
    tenant.write(FACT | {"id": "mine", "metadata": {"k": 1}, "ttl_seconds": 1000})
    tenant.write(*({"prompt": f"The badge of agent {n} is", "target": f"B-{n}"} for n in range(99)))
    tenant.forget(prompts=["The secret of Ada is"], mode="suppress")
    ok(tenant.post("documents", {"text": TEXT, "id": "trip"}))
    return tenant


def test_the_new_worker_refuses_reencode_swaps_and_nothing_is_lost(
    old: Running, new: Running
) -> None:
    with old.client() as before, new.client() as after:
        tenants = [filled(before, name) for name in ("acme", "globex")]
        facts = [tenant.facts() for tenant in tenants]
        for verb, body in CALLS.items():
            error(Tenant(after, "acme").post(verb, body), 503, "checkpoint_mismatch")
        for path in ("facts", "documents", "facts/mine", "snapshot"):
            error(after.get(f"/v1/tenants/acme/{path}"), 503, "checkpoint_mismatch")
        assert [tenant.facts() for tenant in tenants] == facts  # it touched nothing
        assert ok(after.get("/v1/tenants/acme"))["checkpoint"] == "fake-1"

        done = larimar(new.url, "--checkpoint", ok(after.get("/readyz"))["checkpoint"])
        assert done.exit_code == 0, done.output
        assert "acme: reencoded, 104 rows, fake-2" in done.stdout
        moved = [Tenant(after, name) for name in ("acme", "globex")]
        assert [tenant.facts() for tenant in moved] == facts
        for tenant in moved:
            assert tenant.text(CAPITAL) == " Lyon"
            assert tenant.text("The badge of agent 42 is") == " B-42"
            assert tenant.text("The secret of Ada is") == " unknown"
            document = ok(after.get(f"{tenant.path}/documents/trip"))
            assert (document["status"], document["chunks"]) == ("complete", 3)
            assert ok(after.get(tenant.path))["checkpoint"] == "fake-2"
        for verb, body in CALLS.items():
            error(tenants[0].post(verb, body), 503, "checkpoint_mismatch")
        audit = ok(after.get("/v1/audit"))["entries"]
        assert [e["tenant"] for e in audit if e["action"] == "tenant.reencode"] == [
            "acme",
            "globex",
        ]
        again = larimar(new.url, "acme", "--checkpoint", "fake-2")
        assert (again.stdout, again.stderr) == ("acme: current, 104 rows, fake-2\n", "")


def test_progress_where_somebody_watches_and_json_for_scripts(old: Running, new: Running) -> None:
    with old.client() as before, new.client() as after:
        for name in ("acme", "globex"):
            filled(before, name)
        arguments = ("acme", "nobody", "globex", "--checkpoint", "fake-2", "--json")
        done = larimar(new.url, *arguments, FORCE_COLOR="1", TERM="xterm")
        version = ok(after.get("/v1/tenants/acme"))["version"]
    assert done.exit_code == 1
    assert "100%" in done.stderr
    assert "nobody: tenant_not_found" in done.stderr
    moved = json.loads(done.stdout)
    assert list(moved) == ["acme", "globex"]
    assert moved["acme"] == {
        "status": "reencoded", "done": 104, "rows": 104, "version": version,
        "checkpoint": "fake-2",
    }  # fmt: skip


def test_a_worker_of_another_checkpoint_does_not_undo_it(old: Running, new: Running) -> None:
    with old.client() as before, new.client() as after:
        filled(before, "acme")
        path, body = "/v1/tenants/acme/reencode", {"checkpoint": "fake-2"}
        error(before.post(path, json=body), 409, "other_checkpoint")
        assert ok(after.post(path, json=body))["status"] == "reencoded"
        error(before.post(path, json=body), 409, "other_checkpoint")
        refused = larimar(old.url, "acme", "--checkpoint", "fake-2", "--wait", "0")
        assert refused.exit_code == 1
        assert "other_checkpoint" in refused.stderr
        assert ok(after.get("/v1/tenants/acme"))["checkpoint"] == "fake-2"


def test_through_a_balancer_it_waits_for_a_worker_with_the_checkpoint(
    old: Running, new: Running
) -> None:
    ports = [int(one.url.rpartition(":")[2]) for one in (old, old, old, new)]
    with old.client() as client:
        filled(client, "acme")
    with Balancer(ports).running() as url:
        done = larimar(url, "acme", "--checkpoint", "fake-2")
    assert done.exit_code == 0, done.output


def test_writes_go_on_until_the_swap_and_none_is_lost(old: Running, new: Running) -> None:
    """One client writes to the old worker all the while; what it was told is written, is there."""
    acknowledged: list[str] = []
    refusals: list[httpx.Response] = []

    def keep_writing() -> None:
        with old.client() as client:
            tenant = Tenant(client, "acme")
            for n in range(100_000):
                fact = {"prompt": f"The locker of pilot {n} is", "target": f"L-{n}", "id": f"p{n}"}
                reply = tenant.post("write", {"facts": [fact]})
                if reply.is_error:
                    refusals.append(reply)
                    return
                acknowledged.append(f"p{n}")

    with old.client() as before, new.client() as after:
        filled(before, "acme")
        writer = threading.Thread(target=keep_writing)
        writer.start()
        until(lambda: len(acknowledged) > 5)
        assert larimar(new.url, "acme", "--checkpoint", "fake-2").exit_code == 0
        writer.join()
        error(refusals[0], 503, "checkpoint_mismatch")
        assert refusals[0].headers["Retry-After"]
        tenant = Tenant(after, "acme")
        for id in acknowledged:
            assert tenant.text(f"The locker of pilot {id[1:]} is") == f" L-{id[1:]}"


def test_progress_is_shown(old: Running, new: Running) -> None:
    with old.client() as before, new.client() as after:
        filled(before, "acme")
        headers = {"Accept": "text/event-stream"}
        path, body = "/v1/tenants/acme/reencode", {"checkpoint": "fake-2"}
        with after.stream("POST", path, json=body, headers=headers) as response:
            received = list(events(response))
    names = [name for name, _ in received]
    assert names == ["progress"] * (len(names) - 1) + ["done"]
    assert [state["done"] for _, state in received] == [64, 104, 104]


def test_what_the_new_checkpoint_cannot_hold_is_named(old: Running, new: Running) -> None:
    with old.client() as before, new.client() as after:
        tenant = filled(before, "acme")
        tenant.write({"prompt": "x" * (BYTES - 10), "target": "y", "id": "long"})
        engine = new.service.engine
        assert isinstance(engine, FakeEngine)
        engine.bytes = BYTES - 20
        path, body = "/v1/tenants/acme/reencode", {"checkpoint": "fake-2"}
        refused = error(after.post(path, json=body), 409, "not_reencodable")
        assert [(d["param"], d["code"]) for d in refused["details"]] == [("long", "fact_too_long")]
        assert tenant.text(CAPITAL) == " Lyon"
        failed = larimar(new.url, "--checkpoint", "fake-2")
        assert failed.exit_code == 1
        assert "acme: long: " in failed.stderr
        tenant.forget(ids=["long"])
        assert larimar(new.url, "--checkpoint", "fake-2").exit_code == 0


def test_only_an_administrator_may(old: Running) -> None:
    with old.client() as admin:
        filled(admin, "acme")
        scopes = ["read", "generate", "write"]
        key = ok(admin.post("/v1/keys", json={"tenants": ["acme"], "scopes": scopes}))["key"]
    with old.client(key) as client:
        body = {"checkpoint": "fake-1"}
        error(client.post("/v1/tenants/acme/reencode", json=body), 403, "forbidden")


def test_an_embedded_start_survives_a_new_checkpoint(tmp_path: Path) -> None:
    """The data folder is an older one's: the service starts, says so, and can re-encode."""
    with process(tmp_path) as one, one.client() as client:
        Tenant(client, "default").write(FACT)
    with process(tmp_path, 0.0, FAKE_CHECKPOINT="2") as again, again.client() as client:
        tenant = Tenant(client, "default")
        error(tenant.post("read", {"queries": [CAPITAL]}), 503, "checkpoint_mismatch")
        key = (tmp_path / "admin.key").read_text().strip()
        env = {"LARIMAR_URL": again.url, "LARIMAR_KEY": key}
        arguments = ["reencode", "--checkpoint", "fake-2"]
        assert CliRunner().invoke(app, arguments, env=env).exit_code == 0
        assert tenant.text(CAPITAL) == " Lyon"
        again.popen.terminate()
        _, _, err = again.end()
    assert "larimar reencode" in err
