"""The service as a process: it starts, survives, drains and fails as promised."""

from __future__ import annotations

import json
import signal
import socket
import stat
import threading
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import Process, free_port, process, until
from service.engine.fake import FakeEngine
from service.resources import Service
from service.settings import Settings, SettingsError
from tests.api.calls import CAPITAL, FACT, Tenant, error, ok
from tests.api.test_generation import events

PATH = "/v1/tenants/default/generate"
STREAM = {"prompt": CAPITAL, "stream": True, "memory": "never"}


def test_the_start_shows_where_the_key_is_and_not_the_key(tmp_path: Path) -> None:
    with process(tmp_path) as one:
        key_file = tmp_path / "admin.key"
        key = key_file.read_text().strip()
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        one.popen.send_signal(signal.SIGINT)
        status, out, err = one.end()
    assert status == 0, err
    assert f"http://127.0.0.1:{one.port}" in out
    assert f"export LARIMAR_KEY=$(cat {key_file})" in out
    assert key not in out + err


def test_facts_outlive_a_kill(tmp_path: Path) -> None:
    with process(tmp_path) as one, one.client() as client:
        written = Tenant(client, "default").write(FACT)
        one.popen.kill()
        one.end()
    with process(tmp_path) as again, again.client() as client:
        tenant = Tenant(client, "default")
        assert tenant.text(CAPITAL) == " Lyon"
        assert tenant.version() == written["version"]


def test_a_taken_port_and_a_taken_folder_are_one_line_each(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = Process(tmp_path / "a", LARIMAR_PORT=port).end()
        assert (status, len(err.splitlines())) == (1, 1), err
        assert "--port" in err
    with process(tmp_path / "b") as holder:
        status, _, err = Process(tmp_path / "b", delay=None).end()
        assert (status, len(err.splitlines())) == (1, 1), err
        assert f"in use by pid {holder.popen.pid} {holder.url}\n" in err


def test_switched_off_keys_are_logged_at_every_start(tmp_path: Path) -> None:
    for _ in range(2):
        with process(tmp_path, LARIMAR_AUTH="off", LARIMAR_LOG_LEVEL="critical") as one:
            assert httpx.get(f"{one.url}/v1/tenants").status_code == 200
            one.popen.terminate()
            _, out, err = one.end()
        assert "authentication is off" in err
        assert "Authentication is off" in out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LARIMAR_PORT", "no"),
        ("LARIMAR_QUEUE", "5"),
        ("LARIMAR_REDIS_URL", "localhost:6379"),
        ("LARIMAR_DATA_DIR", "/dev/null/larimar"),
        ("LARIMAR_RECEIPT_KEY_FILE", "/etc/hostname"),
        ("LARIMAR_DURABILITY", "sometimes"),
        ("LARIMAR_EMBEDDED", "false"),
        ("LARIMAR_ADMIN_KEY", "short"),
        ("LARIMAR_ADMIN_KEY_FILE", "/nowhere/at/all"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    tmp_path: Path, name: str, value: str
) -> None:
    status, _, err = Process(tmp_path, 0.0, **{name: value}).end()
    assert (status, len(err.splitlines())) == (1, 1), err
    assert name in err


@pytest.mark.anyio
async def test_without_keys_too_the_data_folder_must_be_usable() -> None:
    given = Settings(auth="off", data_dir=Path("/dev/null/larimar"))
    with pytest.raises(SettingsError, match="LARIMAR_DATA_DIR"):
        await Service(given, FakeEngine()).open()


def test_a_drain_admits_then_refuses_then_ends(tmp_path: Path) -> None:
    with process(tmp_path, 1.5, LARIMAR_DRAIN_DELAY="3") as one, one.client() as client:
        with client.stream("POST", PATH, json=STREAM) as response:
            received = events(response)
            assert next(received)[0] == "token"
            one.popen.send_signal(signal.SIGTERM)
            until(lambda: not one.ready())
            with one.client() as other:
                error(other.get("/readyz"), 503, "draining")
                late = other.get("/v1/tenants")  # still admitted: not everyone knows yet
                assert late.status_code == 200
                assert late.headers["Connection"] == "close"
                until(lambda: other.get("/v1/tenants").status_code == 503)
                refused = other.get("/v1/tenants")
                error(refused, 503, "draining")
                assert refused.headers["Connection"] == "close"
                assert refused.headers["Retry-After"]
            assert list(received)[-1][0] == "done"  # what ran is finished
        status, _, err = one.end()
    assert status == 0, err


def test_metrics_can_have_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    with process(tmp_path, LARIMAR_METRICS_PORT=str(port)) as one, one.client() as client:
        there = f"http://127.0.0.1:{port}"
        assert "larimar_requests_total" in httpx.get(f"{there}/metrics").text
        error(client.get("/metrics"), 404, "not_found")
        for path in ("/readyz", "/v1/tenants", "/docs", "/openapi.json"):
            error(httpx.get(there + path, headers=client.headers), 404, "not_found")


def test_what_outlasts_the_drain_is_cut_with_an_error(tmp_path: Path) -> None:
    with process(tmp_path, 5, LARIMAR_DRAIN_TIMEOUT="0.3") as one, one.client() as client:
        answers: list[httpx.Response] = []
        body = {"prompt": CAPITAL, "memory": "never"}
        thread = threading.Thread(target=lambda: answers.append(client.post(PATH, json=body)))
        thread.start()
        metrics = f"{one.url}/metrics"
        until(lambda: "larimar_inflight_requests 2.0" in httpx.get(metrics).text)
        one.popen.send_signal(signal.SIGTERM)
        status, _, err = one.end()
        thread.join()
    error(answers[0], 503, "draining")
    assert status == 0, err


def test_a_cut_stream_ends_with_an_error_event(tmp_path: Path) -> None:
    with process(tmp_path, 1, LARIMAR_DRAIN_TIMEOUT="0.2") as one, one.client() as client:
        with client.stream("POST", PATH, json=STREAM) as response:
            received = events(response)
            assert next(received)[0] == "token"
            one.popen.send_signal(signal.SIGTERM)
            name, data = list(received)[-1]
        assert (name, data["error"]["code"]) == ("error", "draining")
        assert one.end()[0] == 0


def test_a_dead_engine_ends_the_process(tmp_path: Path) -> None:
    with process(tmp_path, LARIMAR_LOG_LEVEL="critical") as one, one.client() as client:
        ok(client.get("/readyz"))
        one.popen.send_signal(signal.SIGUSR1)
        assert one.end()[0] == 1


@pytest.mark.parametrize("content", [False, True])
def test_the_log_names_who_and_where_but_no_content(tmp_path: Path, content: bool) -> None:
    environment = {"LARIMAR_LOG_LEVEL": "debug", "LARIMAR_LOG_CONTENT": str(content).lower()}
    with process(tmp_path, 0.0, **environment) as one, one.client() as client:
        tenant = Tenant(client, "default")
        tenant.write({"prompt": "My secret prompt is", "target": "hunter2", "id": "mine"})
        tenant.text("My secret prompt is")
        tenant.post("write", {"facts": [{"hunter2": 1}]})
        made = ok(client.post("/v1/keys", json={"tenants": ["default"], "scopes": ["read"]}))
        with httpx.Client(headers={"Authorization": f"Bearer {made['key']}"}) as reader:
            request = reader.get(f"{one.url}/v1/tenants/default/facts/mine?limit=hunter2")
        one.popen.terminate()
        _, _, err = one.end()
    lines = [json.loads(line) for line in err.splitlines()]
    logged = next(line for line in lines if line.get("op") == "get_fact")
    assert logged["request_id"] == request.headers["X-Request-ID"]
    assert (logged["key_id"], logged["tenant"], logged["status"]) == (made["id"], "default", 200)
    for text in ("hunter2", "secret prompt"):
        assert (text in err) is content
    for secret in (made["key"], (tmp_path / "admin.key").read_text().strip()):
        assert secret not in err
