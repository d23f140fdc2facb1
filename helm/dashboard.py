"""Writes the Grafana dashboard that chart and compose file both provision.

The committed JSON is what Grafana reads; this table is what people edit.
`python helm/dashboard.py` writes; a test compares, and holds every metric to the service's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).parent / "larimar" / "dashboards" / "larimar.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
JOB = 'job=~"$job"'
WIDTH, HEIGHT = 8, 7  # of Grafana's 24 columns; three panels a row


class Panel(NamedTuple):
    title: str
    unit: str
    series: dict[str, str]  # legend → expression
    about: str


def rate(metric: str, labels: str = "", by: str = "") -> str:
    total = f"sum by ({by})" if by else "sum"
    inside = f"{JOB},{labels}" if labels else JOB
    return f"{total} (rate({metric}{{{inside}}}[$__rate_interval]))"


def share(metric: str, labels: str) -> str:
    return f"{rate(metric, labels)} / {rate(metric)}"


def mean(metric: str, by: str) -> str:
    return f"{rate(f'{metric}_sum', by=by)} / {rate(f'{metric}_count', by=by)}"


def quantile(level: float, metric: str, by: str = "") -> str:
    group = f"le, {by}" if by else "le"
    return f"histogram_quantile({level}, {rate(f'{metric}_bucket', by=group)})"


def quantiles(metric: str) -> dict[str, str]:
    return {f"p{level * 100:g}": quantile(level, metric) for level in (0.5, 0.95, 0.99)}


PANELS = [
    Panel("Requests", "reqps", {"{{op}}": rate("larimar_requests_total", by="op")}, "By route."),
    Panel(
        "Failures",
        "percentunit",
        {
            "5xx": share("larimar_requests_total", 'code=~"5.."'),
            "4xx": share("larimar_requests_total", 'code=~"4.."'),
        },
        "Share of requests; above 5 % of 5xx LarimarErrors fires.",
    ),
    Panel(
        "Request time, p95",
        "s",
        {"{{op}}": quantile(0.95, "larimar_request_duration_seconds", "op")},
        "From a request's first byte to its reply's last.",
    ),
    Panel(
        "Items in the engine",
        "short",
        {"{{instance}} {{state}}": f"larimar_engine_items{{{JOB}}}"},
        "Rows, facts and queries by replica; autoscaling looks at the pending ones.",
    ),
    Panel(
        "Queue time, p95",
        "s",
        {"{{op}}": quantile(0.95, "larimar_queue_duration_seconds", "op")},
        "From arrival in the engine until work on it; of generations, until the row decodes.",
    ),
    Panel(
        "Items in a batch",
        "short",
        {"{{op}}": mean("larimar_batch_size", "op")},
        "Mean of what is worked on at once.",
    ),
    Panel(
        "Refused",
        "reqps",
        {"{{reason}}": rate("larimar_admission_rejections_total", by="reason")},
        "For load, rate, start or shutdown.",
    ),
    Panel(
        "Time to first text",
        "s",
        quantiles("larimar_generate_ttft_seconds"),
        "Of generations.",
    ),
    Panel(
        "Tokens",
        "short",
        {"{{kind}}": rate("larimar_generate_tokens_total", by="kind")},
        "A second.",
    ),
    Panel(
        "Queries found in a memory",
        "percentunit",
        {"in scope": share("larimar_scope_decisions_total", 'in_scope="true"')},
        "What the scope gate let through.",
    ),
    Panel(
        "Confidence of the gate",
        "percentunit",
        quantiles("larimar_scope_confidence"),
        "A shift without a change of traffic points at the checkpoint.",
    ),
    Panel(
        "Facts",
        "short",
        {
            "written": rate("larimar_facts_written_total"),
            "forgotten": rate("larimar_facts_forgotten_total"),
            "conflicts": rate("larimar_write_conflicts_total"),
        },
        "A second.",
    ),
    Panel(
        "Store time, p99",
        "s",
        {"{{op}}": quantile(0.99, "larimar_store_duration_seconds", "op")},
        "A call of the store with its retries.",
    ),
    Panel(
        "Store trouble",
        "short",
        {
            "{{op}} refused or failed": rate("larimar_store_errors_total", by="op"),
            "stale reads": rate("larimar_stale_reads_total"),
            "store away": rate("larimar_store_unavailable_total"),
        },
        "A second. Stale reads, store away: Redis cannot be reached.",
    ),
    Panel(
        "Memories held",
        "percentunit",
        {
            "{{instance}}": f"larimar_memory_resident_bytes{{{JOB}}}"
            f" / larimar_memory_resident_limit_bytes{{{JOB}}}"
        },
        "Share of LARIMAR_CACHE_BYTES that is in use, by replica.",
    ),
    Panel(
        "Views of memories",
        "short",
        {
            "current": rate("larimar_memory_cache_hits_total"),
            "caught up": rate("larimar_memory_cache_replays_total"),
            "fetched": rate("larimar_memory_cache_misses_total"),
            "evicted": rate("larimar_memory_cache_evictions_total"),
        },
        "A second. Many fetched and evicted: the cache is too small.",
    ),
    Panel(
        "Device memory",
        "bytes",
        {"{{instance}}": f"larimar_device_memory_bytes{{{JOB}}}"},
        "Held on the GPU, by replica.",
    ),
    Panel(
        "Memory",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes{{{JOB}}}"},
        "Resident, by replica.",
    ),
    Panel(
        "CPU",
        "short",
        {"{{instance}}": f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])"},
        "Cores, by replica.",
    ),
    Panel(
        "Uptime",
        "s",
        {"{{instance}}": f"time() - process_start_time_seconds{{{JOB}}}"},
        "By replica.",
    ),
]


def panel(number: int, one: Panel) -> dict[str, Any]:
    place = {"x": number % 3 * WIDTH, "y": number // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": one.title,
        "description": one.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": one.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(65 + i), "datasource": SOURCE, "legendFormat": legend, "expr": expr}
            for i, (legend, expr) in enumerate(one.series.items())
        ],
    }


def variables() -> list[dict[str, Any]]:
    jobs = "label_values(larimar_inflight_requests, job)"
    return [
        {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
        {
            "name": "job",
            "label": "Job",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": jobs, "refId": "job"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]


def dashboard() -> str:
    content = {
        "uid": "larimar",
        "title": "Larimar",
        "tags": ["larimar"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": variables()},
        "panels": [panel(number, one) for number, one in enumerate(PANELS)],
    }
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(dashboard(), "utf-8")
