"""The metrics reference: what the registry of a new application holds."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from docs_build.tables import code, table
from service.metrics import Metrics

SUFFIX = {"counter": "_total"}


def own() -> str:
    """The service's metrics, in the order of service/metrics.py."""
    rows = [[code(m._name + SUFFIX.get(str(m._type), "")), m._type, _labels(m), m._documentation]
            for m in _own(Metrics())]  # fmt: skip
    return table(("name", "type", "labels", "what it counts"), rows)


def process() -> str:
    """What the Prometheus client says of any process."""
    metrics = Metrics()
    ours = {metric._name for metric in _own(metrics)}
    rows = [[code(family.name), family.type, family.documentation]
            for family in metrics.registry.collect() if family.name not in ours]  # fmt: skip
    return table(("name", "type", "what it is"), rows)


def _own(metrics: Metrics) -> list[MetricWrapperBase]:
    return [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(map(code, metric._labelnames))
