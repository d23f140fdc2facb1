"""What Prometheus sees. One registry an application, so that tests can have many.

No label carries a tenant, an id or anything else that a client chooses: the number of series is
bounded by the number of routes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from memory_store.store import CacheStats, MemoryStore
from service.engine.protocol import Engine, Kind

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
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
        self.queue_duration = Histogram(
            "larimar_queue_duration_seconds",
            "Time from a call's arrival in the engine until work on it; of generations, by row.",
            ["op"],
            buckets=SECONDS,
            registry=r,
        )
        self.batch_size = Histogram(
            "larimar_batch_size",
            "Items worked on at once; of generations, rows in one decode step.",
            ["op"],
            buckets=SIZES,
            registry=r,
        )
        self.tasks = Gauge("larimar_event_loop_tasks", "Tasks of the event loop.", registry=r)
        self.device_bytes = Gauge(
            "larimar_device_memory_bytes", "Memory held on the GPU; 0 without one.", registry=r
        )
        self.device_bytes.set_function(_device_bytes)
        self.cache = CacheCollector()
        r.register(self.cache)
        self.stale_reads = Counter(
            "larimar_stale_reads", "Replies from a cache while the store was away.", registry=r
        )
        self.store_unavailable = Counter(
            "larimar_store_unavailable",
            "Requests refused, and readiness probes answered, while the store was away.",
            registry=r,
        )

    def follow(self, engine: Engine, store: MemoryStore) -> None:
        """Show how engine, store and this loop are, whenever the metrics are read."""
        self.cache.stats = store.cache_stats
        engine.watch(self)
        loop = asyncio.get_running_loop()
        self.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        for state in ("pending", "decoding", "waiting"):
            self.workload.labels(state).set_function(partial(_items, engine, state))

    def waited(self, kind: Kind, seconds: float) -> None:
        """From the engine's thread."""
        self.queue_duration.labels(kind).observe(seconds)

    def batched(self, kind: Kind, items: int) -> None:
        """From the engine's thread."""
        self.batch_size.labels(kind).observe(items)

    def decided(self, in_scope: bool, confidence: float) -> None:
        """One decision of the scope gate."""
        self.scope.labels("true" if in_scope else "false").inc()
        self.confidence.observe(confidence)


class CacheCollector(Collector):
    """What the store's cache of memories counts by itself."""

    def __init__(self) -> None:
        self.stats = CacheStats()

    def collect(self) -> Iterator[Metric]:
        prefix, stats = "larimar_memory", self.stats
        for name, about, value in [
            ("hits", "Views of a memory that were current.", stats.hits),
            ("replays", "Views that were behind and followed the log.", stats.replays),
            ("misses", "Views that were fetched whole.", stats.loads),
            ("evictions", "Views that left for want of room.", stats.evictions),
        ]:
            yield CounterMetricFamily(f"{prefix}_cache_{name}", about, value)
        yield GaugeMetricFamily(f"{prefix}_resident_bytes", "Bytes of views held.", stats.bytes)
        yield GaugeMetricFamily(f"{prefix}_resident_limit_bytes", "Room for views.", stats.room)
        yield GaugeMetricFamily(f"{prefix}_resident_tenants", "Tenants held.", stats.tenants)


def _device_bytes() -> float:
    torch = sys.modules.get("torch")  # never imported for this
    return float(torch.cuda.memory_allocated()) if torch and torch.cuda.is_initialized() else 0.0


def _items(engine: Engine, state: str) -> float:
    return float(getattr(engine.workload, state))
