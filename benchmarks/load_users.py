"""Who puts the load on: a locust file, started by load_proof.py.

Every user keeps facts of its own in one of the tenants and knows what is acknowledged. A change
without a definite answer is sent again under its Idempotency-Key, to the other worker if one
cannot be reached, until there is one: so at the end it is known, fact by fact, what must be there.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, between, events, task
from locust.env import Environment

PLAN: dict[str, Any] = json.loads(Path(os.environ["LOAD_PLAN"]).read_text("utf-8"))
ITEMS = 24  # facts that a user keeps at most
PAUSE = 0.05  # seconds before a refused call is sent again
numbers = itertools.count()
users: list[Caller] = []
errors: Counter[str] = Counter()  # replies of 400 and more by code; "connection" for none
wrong: list[str] = []  # answers that deny an acknowledged change


class Caller(FastHttpUser):
    """One client of one tenant."""

    host = PLAN["hosts"][0]
    wait_time = between(0.0, 0.1)
    connection_timeout = network_timeout = 120.0

    def on_start(self) -> None:
        self.number = next(numbers)
        self.tenant, self.key = PLAN["keys"][self.number % len(PLAN["keys"])]
        self.at = self.number % len(PLAN["hosts"])
        self.random = random.Random(self.number)
        self.facts: dict[int, str] = {}  # item → its target, as acknowledged
        users.append(self)
        # All of its items, whatever a user of that number left behind: memory is full from here.
        self.put(range(ITEMS))

    # --- what it does, and how often -------------------------------------------------------

    @task(6)
    def write(self) -> None:
        self.put(self.random.sample(range(ITEMS), self.random.randint(1, 3)))

    def put(self, items: Sequence[int]) -> None:
        targets = {item: f"crate {self.random.randrange(10**6):06d}" for item in items}
        facts = [
            {"id": self.id(item), "prompt": self.cue(item), "target": target}
            for item, target in targets.items()
        ]
        self.change("write", {"facts": facts})
        self.facts |= targets

    @task(3)
    def forget(self) -> None:
        items = self.random.sample(range(ITEMS), 2)
        self.change("forget", {"ids": [self.id(item) for item in items]})
        for item in items:
            self.facts.pop(item, None)

    @task(6)
    def generate(self) -> None:
        item = self.random.randrange(ITEMS)
        self.judge(item, self.ask("generate", {"prompt": self.cue(item), "max_new_tokens": 8}))

    @task(2)
    def stream(self) -> None:
        item = self.random.randrange(ITEMS)
        body = {"prompt": self.cue(item), "max_new_tokens": 8, "stream": True}
        self.judge(item, self.ask("generate", body, "stream"))

    @task(3)
    def read(self) -> None:
        item = self.random.randrange(ITEMS)
        self.judge(item, self.ask("read", {"queries": [self.cue(item)]}))

    @task(1)
    def score(self) -> None:
        item = self.random.randrange(ITEMS)
        self.ask("score", {"items": [{"prompt": self.cue(item), "targets": ["crate", "bale"]}]})

    @task(1)
    def list_facts(self) -> None:
        self.call("GET", "facts?limit=100", "facts")

    # --- how it speaks ----------------------------------------------------------------------

    def id(self, item: int) -> str:
        return f"u{self.number}-{item}"

    def cue(self, item: int) -> str:
        return f"Locker {item} in hall h{self.number}i{item} holds"

    def judge(self, item: int, reply: Any) -> None:
        """The very next read knows what was acknowledged, unless it says that it may not."""
        if not PLAN["answers"] or reply is None or reply["stale"]:
            return
        result, expected = reply["results"][0], self.facts.get(item)
        said = result["text"].strip() if result["in_scope"] else None
        if (said is None) != (expected is None) or not (said or "").endswith(expected or ""):
            wrong.append(f"{self.id(item)}: {said!r} instead of {expected!r}")

    def change(self, verb: str, body: Any) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        while self.call("POST", verb, verb, body, key) is None:
            time.sleep(PAUSE)  # locust has made it let others go on

    def ask(self, verb: str, body: Any, name: str = "") -> Any:
        return self.call("POST", verb, name or verb, body)

    def call(self, method: str, path: str, name: str, body: Any = None, headers: Any = None) -> Any:
        """The reply's JSON, a stream's last event; None, and an entry in `errors`, without one."""
        url = f"{PLAN['hosts'][self.at]}/v1/tenants/{self.tenant}/{path}"
        headers = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        options = {"json": body, "headers": headers, "name": name, "catch_response": True}
        with self.client.request(method, url, **options) as response:
            data = parsed(response)
            if "error" not in data:
                return data
            code = data["error"]["code"]
            if code == "connection":  # the other worker may answer
                self.at = (self.at + 1) % len(PLAN["hosts"])
            errors[code] += 1
            response.failure(code)
        return None


def parsed(response: Any) -> Any:
    """The reply, of a stream its last event; an error of our own where it broke off."""
    broken = {"error": {"code": "connection"}}
    if response.status_code == 0:
        return broken
    try:
        data = json.loads(response.text.strip().splitlines()[-1].removeprefix("data: "))
    except (ValueError, IndexError, HTTPParseError):
        return broken
    return data if data.keys() & {"error", "results", "facts"} else broken


def report(environment: Environment, **_: Any) -> None:
    """What the proof compares with what the service has."""
    latencies = {
        entry.name: {
            "count": entry.num_requests,
            "p50_ms": entry.get_response_time_percentile(0.5),
            "p99_ms": entry.get_response_time_percentile(0.99),
        }
        for entry in environment.stats.entries.values()
    }
    facts: dict[str, dict[str, str]] = {tenant: {} for tenant, _ in PLAN["keys"]}
    for user in users:
        facts[user.tenant] |= {user.id(item): target for item, target in user.facts.items()}
    found = {"latencies": latencies, "errors": errors, "wrong": wrong, "facts": facts}
    Path(PLAN["report"]).write_text(json.dumps(found), "utf-8")


events.quitting.add_listener(report)  # type: ignore[no-untyped-call]
