"""What Prometheus sees. One registry an application, so that tests can have many.

No label carries a tenant, an id or anything else that a client chooses: the number of series is
bounded by the number of routes.
"""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from service.engine.protocol import Engine

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """All metrics of one application; the prefix is `larimar_`."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        self.requests = Counter(
            "larimar_requests", "Requests by route and status.", ["op", "code"], registry=r
        )
        self.duration = Histogram(
            "larimar_request_duration_seconds",
            "Time from the request's first byte to the reply's last.",
            ["op"],
            buckets=SECONDS,
            registry=r,
        )
        self.inflight = Gauge("larimar_inflight_requests", "Requests in progress.", registry=r)
        self.rejections = Counter(
            "larimar_admission_rejections",
            "Requests refused for load, rate or shutdown.",
            ["reason"],
            registry=r,
        )
        self.ttft = Histogram(
            "larimar_generate_ttft_seconds",
            "Time to the first text of a generation.",
            buckets=SECONDS,
            registry=r,
        )
        self.tokens = Counter(
            "larimar_generate_tokens", "Tokens by kind: prompt, completion.", ["kind"], registry=r
        )
        self.scope = Counter(
            "larimar_scope_decisions", "Decisions of the scope gate.", ["in_scope"], registry=r
        )
        self.confidence = Histogram(
            "larimar_scope_confidence", "Confidence of the gate.", buckets=SHARES, registry=r
        )
        self.facts_written = Counter("larimar_facts_written", "Facts written.", registry=r)
        self.facts_forgotten = Counter("larimar_facts_forgotten", "Facts forgotten.", registry=r)
        self.store_duration = Histogram(
            "larimar_store_duration_seconds",
            "Time of a call of the store, its retries included.",
            ["op"],
            buckets=SECONDS,
            registry=r,
        )
        self.store_errors = Counter(
            "larimar_store_errors", "Calls of the store that failed.", ["op"], registry=r
        )
        self.conflicts = Counter(
            "larimar_write_conflicts", "Changes refused for their version.", registry=r
        )
        self.workload = Gauge(
            "larimar_engine_items",
            "Rows in the engine: pending (of any work), decoding, waiting.",
            ["state"],
            registry=r,
        )
        self.stale_reads = Counter(
            "larimar_stale_reads", "Replies from a cache while the store was away.", registry=r
        )

    def follow(self, engine: Engine) -> None:
        """Show the engine's workload, as it is whenever the metrics are read."""
        for state in ("pending", "decoding", "waiting"):
            self.workload.labels(state).set_function(partial(_items, engine, state))

    def decided(self, in_scope: bool, confidence: float) -> None:
        """One decision of the scope gate."""
        self.scope.labels("true" if in_scope else "false").inc()
        self.confidence.observe(confidence)


def _items(engine: Engine, state: str) -> float:
    return float(getattr(engine.workload, state))
