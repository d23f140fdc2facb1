"""The metrics reference: what the registry of a new application holds."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from docs_build.tables import code, table
from service.metrics import Metrics

PREFIX = "larimar_"


def own() -> str:
    """The service's metrics: in the order of service/metrics.py, then what is counted elsewhere."""
    metrics = Metrics()
    rows = [[code(_sampled(m._name, str(m._type))), m._type, _labels(m), m._documentation]
            for m in _own(metrics)]  # fmt: skip
    rows += [[code(_sampled(family.name, family.type)), family.type, "", family.documentation]
             for family in _others(metrics) if family.name.startswith(PREFIX)]  # fmt: skip
    return table(("name", "type", "labels", "what it counts"), rows)


def process() -> str:
    """What the Prometheus client says of any process."""
    rows = [[code(_sampled(family.name, family.type)), family.type, family.documentation]
            for family in _others(Metrics()) if not family.name.startswith(PREFIX)]  # fmt: skip
    return table(("name", "type", "what it is"), rows)


def _sampled(name: str, kind: str) -> str:
    """The name that a query needs."""
    return f"{name}_total" if kind == "counter" else name


def _others(metrics: Metrics) -> list[Metric]:
    """Families of collectors that are no metric of service/metrics.py."""
    ours = {metric._name for metric in _own(metrics)}
    return [family for family in metrics.registry.collect() if family.name not in ours]


def _own(metrics: Metrics) -> list[MetricWrapperBase]:
    return [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(map(code, metric._labelnames))
