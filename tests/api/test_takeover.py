"""One worker leaves, another goes on, and no client notices."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import httpx

from benchmarks.processes import process, until
from tests.api.balancer import Balancer
from tests.api.calls import CAPITAL, FACT, Tenant
from tests.api.running import ADMIN_KEY

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}


def test_a_worker_leaves_without_an_error_at_the_client(valkey: str, tmp_path: Path) -> None:
    environment = {
        "LARIMAR_REDIS_URL": valkey,
        "LARIMAR_ADMIN_KEY": ADMIN_KEY,
        "LARIMAR_DRAIN_DELAY": "2",  # twenty looks of the balancer
    }
    with (
        process(tmp_path / "a", 0.02, **environment) as leaving,
        process(tmp_path / "b", 0.02, **environment) as staying,
        Balancer([leaving.port, staying.port]).running() as url,
    ):
        with httpx.Client(base_url=url, headers=HEADERS) as client:
            client.put("/v1/tenants/takeover").raise_for_status()
            Tenant(client, "takeover").write(FACT)
        answers: list[str] = []
        done = threading.Event()
        clients = [
            threading.Thread(target=keep_asking, args=(url, answers, done)) for _ in range(4)
        ]
        for thread in clients:
            thread.start()
        until(lambda: len(answers) > 40)
        leaving.popen.send_signal(signal.SIGTERM)
        status, _, err = leaving.end()
        gone_at = len(answers)
        until(lambda: len(answers) > gone_at + 40)
        done.set()
        for thread in clients:
            thread.join()
        assert status == 0, err
        assert staying.ready()
    assert set(answers) == {" Lyon"}


def keep_asking(url: str, answers: list[str], done: threading.Event) -> None:
    """New connections and kept ones; whatever goes wrong becomes an answer."""
    while not done.is_set():
        try:
            with httpx.Client(base_url=url, headers=HEADERS, timeout=30) as client:
                for _ in range(3):
                    answers.append(Tenant(client, "takeover").text(CAPITAL))
        except Exception as exc:
            answers.append(repr(exc))


def test_workers_share_keys_and_facts(valkey: str, tmp_path: Path) -> None:
    environment = {"LARIMAR_REDIS_URL": valkey, "LARIMAR_ADMIN_KEY": ADMIN_KEY}
    with (
        process(tmp_path / "a", 0.0, **environment) as one,
        process(tmp_path / "b", 0.0, **environment) as two,
        httpx.Client(base_url=one.url, headers=HEADERS) as first,
        httpx.Client(base_url=two.url, headers=HEADERS) as second,
    ):
        first.put("/v1/tenants/shared").raise_for_status()
        here, there = Tenant(first, "shared"), Tenant(second, "shared")
        for target in ("Lyon", "Nice"):
            here.write(FACT | {"target": target})
            assert there.text(CAPITAL) == f" {target}"  # the very next generation, anywhere
        made = first.post("/v1/keys", json={"tenants": ["shared"], "scopes": ["read"]}).json()

        def on_the_other(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.get(f"{two.url}/v1/tenants/shared", headers=headers).status_code

        assert on_the_other(made["key"]) == 200
        rotated = first.post(f"/v1/keys/{made['id']}/rotate").json()
        time.sleep(1)  # what a worker may remember
        assert (on_the_other(made["key"]), on_the_other(rotated["key"])) == (401, 200)
        first.delete(f"/v1/keys/{made['id']}").raise_for_status()
        time.sleep(1)
        assert on_the_other(rotated["key"]) == 401
        first.delete("/v1/tenants/shared").raise_for_status()
        first.put("/v1/tenants/shared").raise_for_status()
        assert there.facts() == []
        assert there.text(CAPITAL).startswith(" base")
