"""Wrong values are refused before anything is installed, with a message that names them."""

from __future__ import annotations

import re
from typing import Any

import helm_python
import pytest

from tests.chart.rendering import render

REDIS = {"redis": {"url": "redis://h"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no Redis"),
        (REDIS | {"valkey": {"enabled": True}}, "more than one Redis"),
        ({"valkey": {"enabled": True}, "redis": {"cluster": True}}, "redis.cluster"),
        (
            {"redis": {"url": "redis://h", "cluster": True}}
            | {"settings": {"durability": "replicated:1"}},
            "durability must be local",
        ),
        (REDIS | {"autoscaling": {"keda": {"enabled": True}}}, "prometheusAddress"),
        (
            REDIS | {"autoscaling": {"keda": {"enabled": True}, "hpa": {"enabled": True}}},
            "only one of autoscaling",
        ),
        (REDIS | {"ingress": {"enabled": True}}, "ingress.hosts"),
    ],
)
def test_what_cannot_run_does_not_render(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(message)):
        render(values)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"replicas": 3}, "replicas"),
        ({"replicaCount": "3"}, "/replicaCount"),
        ({"gpu": {"count": -1}}, "/gpu/count"),
        ({"settings": {"queueSize": 0}}, "/settings/queueSize"),
        ({"settings": {"durability": "sometimes"}}, "/settings/durability"),
        ({"settings": {"queue_size": 9}}, "queue_size"),
        ({"settings": {"logLevel": "loud"}}, "/settings/logLevel"),
        ({"auth": {"adminKey": "short"}}, "/auth/adminKey"),
        ({"redis": {"url": "http://h"}}, "/redis/url"),
        ({"valkey": {"password": "with@sign-and-more-characters"}}, "/valkey/password"),
        ({"valkey": {"appendfsync": "no"}}, "/valkey/appendfsync"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"service": {"port": 70000}}, "/service/port"),
        ({"ingress": {"hosts": [{"host": "h"}]}}, "/ingress/hosts/0"),
        ({"terminationMarginSeconds": 0}, "/terminationMarginSeconds"),
        ({"podLabels": {"a": 1}}, "/podLabels/a"),
    ],
)
def test_the_schema_names_what_is_wrong(values: dict[str, Any], place: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=re.escape(place)):
        render(REDIS | values)
