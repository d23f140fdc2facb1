"""Proof that the service holds under load, and that nothing acknowledged is lost when parts die.

`python -m benchmarks.load_proof` runs both forms for ten minutes each on real processes and real
Valkey, and for three on the real model, and writes benchmarks/results/load_*.json; the tests run
them for half a minute.

    steady   one worker: no reply of 400 or more, no task or descriptor left over, no growth
    chaos    two workers; Valkey is killed once and stopped once, a worker is killed once: every
             acknowledged change is there, and errors are of the kinds that are documented
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import redis
import typer
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import Process, until
from benchmarks.report import write_results
from memory_store.embedded import EmbeddedValkey

CLIENTS, TENANTS = 32, 20
ADMIN_KEY = "an-admin-key-of-the-load-proof"
TOKEN_SECONDS = 0.002  # of the fake engine
WARM = 0.25  # share of the time before memory is watched
# What a client may be told while a store or a worker is away. (docs/threat-model.md)
DOCUMENTED = {"store_unavailable", "outcome_unknown", "starting", "connection"}


class Proof:
    """Workers on one Valkey, tenants with a key each, and locust's users for a while."""

    def __init__(self, folder: Path, workers: int, *, real: bool = False) -> None:
        self.folder, self.real = folder, real
        self.valkey = EmbeddedValkey(folder / "valkey")
        self.workers: list[Process] = []
        self.keys: list[tuple[str, str]] = []
        self.logs: list[str] = []  # of workers that have ended
        self._count = workers

    @contextmanager
    def running(self) -> Iterator[Proof]:
        self.valkey.start()
        try:
            self.workers = [self._worker(n) for n in range(self._count)]
            for worker in self.workers:
                until(worker.ready)
            self._make_tenants()
            yield self
        finally:
            for worker in self.workers:
                worker.popen.terminate()
                self.logs.append(worker.end()[2])
            self.valkey.stop()

    def _worker(self, number: int, port: int = 0) -> Process:
        return Process(
            self.folder / f"worker-{number}",
            None if self.real else TOKEN_SECONDS,
            **({"LARIMAR_PORT": str(port)} if port else {}),
            LARIMAR_REDIS_URL=self.valkey.url,
            LARIMAR_ADMIN_KEY=ADMIN_KEY,
            LARIMAR_LOG_LEVEL="debug",
        )

    def _make_tenants(self) -> None:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with httpx.Client(base_url=self.workers[0].url, headers=headers) as client:
            for name in (f"tenant-{n}" for n in range(TENANTS)):
                client.put(f"/v1/tenants/{name}").raise_for_status()
                body = {"tenants": [name], "scopes": ["read", "generate", "write"]}
                made = client.post("/v1/keys", json=body).raise_for_status().json()
                self.keys.append((name, made["key"]))

    def load(self, seconds: float) -> dict[str, Any]:
        """Locust's users for so long; their report."""
        report = self.folder / "report.json"
        plan = self.folder / "plan.json"
        hosts = [worker.url for worker in self.workers]
        content = {"hosts": hosts, "keys": self.keys, "report": str(report)}
        plan.write_text(json.dumps(content | {"answers": not self.real}), "utf-8")
        users = str(Path(__file__).with_name("load_users.py"))
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "-f", users]
        command += ["-u", str(CLIENTS), "-r", str(CLIENTS), "-t", f"{round(seconds)}s"]
        command += ["--stop-timeout", "300", "--loglevel", "WARNING"]
        done = subprocess.run(  # noqa: S603
            command, env=os.environ | {"LOAD_PLAN": str(plan)}, capture_output=True, text=True
        )
        assert report.exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        assert found["latencies"], done.stdout + done.stderr  # users that did nothing
        report.unlink()
        return found

    def kill_worker(self, number: int) -> None:
        """As a node that loses power; another takes its place."""
        gone = self.workers[number]
        gone.popen.kill()
        self.logs.append(gone.end()[2])
        self.workers[number] = self._worker(number, gone.port)
        until(self.workers[number].ready)

    def restart_valkey(self, *, kill: bool) -> None:
        if kill:
            os.kill(self.valkey.pid, signal.SIGKILL)
        self.valkey.stop()
        time.sleep(1)  # long enough for calls to fail, short enough for caches to answer
        self.valkey.start()

    def missing(self, expected: dict[str, dict[str, str]]) -> list[str]:
        """Where tenants differ from what was acknowledged, asked of every worker."""
        differences = []
        for worker in self.workers:
            for tenant, key in self.keys:
                there = stored(worker.url, tenant, key)
                for id in there.keys() | expected[tenant].keys():
                    if there.get(id) != expected[tenant].get(id):
                        differences.append(f"{tenant}/{id} on {worker.url}")
        return differences

    def told(self) -> list[str]:
        """What the logs of the whole run say that no log may: keys, prompts, facts."""
        secrets = [ADMIN_KEY, *(key for _, key in self.keys), "Locker", "crate"]
        lines = [line for log in self.logs for line in log.splitlines()]
        assert any('"tenant-0"' in line for line in lines)  # there is a log to look at
        return [line for line in lines if any(secret in line for secret in secrets)]


def stored(url: str, tenant: str, key: str) -> dict[str, str]:
    """Id → target of every fact."""
    found: dict[str, str] = {}
    cursor: str | None = ""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        while cursor is not None:
            query = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
            reply = client.get(f"/v1/tenants/{tenant}/facts", params=query).raise_for_status()
            found |= {fact["id"]: fact["target"] for fact in reply.json()["facts"]}
            cursor = reply.json()["next_cursor"]
    return found


def metrics(worker: Process) -> dict[str, float]:
    """Every series of a worker, summed over labels."""
    text = httpx.get(f"{worker.url}/metrics", timeout=60).text
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return totals


def resting(proof: Proof) -> tuple[int, int]:
    """Tasks and descriptors of the one worker at rest, those to Valkey left out."""
    until(lambda: metrics(proof.workers[0])["larimar_inflight_requests"] == 1)  # this one
    now = metrics(proof.workers[0])
    with redis.Redis.from_url(proof.valkey.url) as client:
        links = len(client.client_list()) - 1
    return int(now["larimar_event_loop_tasks"]), int(now["process_open_fds"]) - links


class Watch:
    """Resident memory of a worker, twice a second."""

    def __init__(self, worker: Process) -> None:
        self._worker, self._sizes, self._over = worker, list[float](), threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self._sizes.append(metrics(self._worker)["process_resident_memory_bytes"])

    def growth(self) -> tuple[float, float]:
        """From the end of the warm-up to the end, as a share; and the size at the end."""
        warm = self._sizes[int(len(self._sizes) * WARM) :]
        part = max(len(warm) // 8, 1)
        first, last = statistics.median(warm[:part]), statistics.median(warm[-part:])
        return last / first - 1, last


def steady(folder: Path, seconds: float, *, real: bool = False) -> dict[str, Any]:
    """One worker under mixed load. Raises AssertionError where it does not hold."""
    with Proof(folder, 1, real=real).running() as proof:
        proof.load(max(seconds / 10, 3))  # connections, caches and threads that stay
        before = resting(proof)
        with Watch(proof.workers[0]) as watch:
            report = proof.load(seconds)
        until(lambda: resting(proof) == before)  # else something is left over
        growth, size = watch.growth()
        assert report["errors"] == {}, report["errors"]
        assert report["wrong"] == [], report["wrong"][:5]
        assert proof.missing(report["facts"]) == []
        assert growth < 0.03, f"memory grew by {growth:.1%}"
    assert proof.told() == []
    return summary(report, seconds, real) | {
        "tasks_at_rest": before[0],
        "descriptors_at_rest": before[1],
        "memory_mb": round(size / 2**20),
        "memory_growth": round(growth, 4),
    }


def chaos(folder: Path, seconds: float, *, real: bool = False) -> dict[str, Any]:
    """Two workers, of which one is killed, on a Valkey that is killed and stopped."""
    with Proof(folder, 2, real=real).running() as proof:
        blows: list[tuple[float, Callable[[], None]]] = [
            (0.2, lambda: proof.restart_valkey(kill=True)),
            (0.45, lambda: proof.kill_worker(0)),
            (0.7, lambda: proof.restart_valkey(kill=False)),
        ]
        started = time.monotonic()

        def strike() -> None:
            for share, blow in blows:
                time.sleep(max(started + share * seconds - time.monotonic(), 0))
                blow()

        striker = threading.Thread(target=strike)
        striker.start()
        report = proof.load(seconds)
        striker.join()
        assert set(report["errors"]) <= DOCUMENTED, report["errors"]
        assert report["errors"], "nothing was hit"
        assert report["wrong"] == [], report["wrong"][:5]
        assert proof.missing(report["facts"]) == []
    assert proof.told() == []
    return summary(report, seconds, real)


def summary(report: dict[str, Any], seconds: float, real: bool) -> dict[str, Any]:
    latencies = report["latencies"]
    return {
        "engine": "real" if real else "fake",
        "seconds": seconds,
        "clients": CLIENTS,
        "tenants": TENANTS,
        "requests": sum(one["count"] for one in latencies.values()),
        "errors": report["errors"],
        "acknowledged_facts_checked": sum(map(len, report["facts"].values())),
        "latencies": latencies,
    }


def main(
    forms: Annotated[list[str] | None, typer.Argument(help="steady, chaos; both if none")] = None,
    seconds: float = 600,
    real_seconds: float = 180,
) -> None:
    """Each form on the fake engine, then shorter on the real model; 0 seconds leave one out."""
    for name in forms or ["steady", "chaos"]:
        form = {"steady": steady, "chaos": chaos}[name]
        for real, given in ((False, seconds), (True, real_seconds)):
            if given:
                with tempfile.TemporaryDirectory() as folder:
                    results = form(Path(folder), given, real=real)
                write_results(f"load_{name}_real" if real else f"load_{name}", results)


if __name__ == "__main__":
    typer.run(main)
