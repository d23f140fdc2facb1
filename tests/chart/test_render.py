"""Whatever values a platform team sets, what comes out is what a cluster takes."""

from __future__ import annotations

from typing import Any

import helm_python
import kubernetes_validate
import pytest
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as operator
from pydantic import BaseModel
from syrupy.assertion import SnapshotAssertion

from tests.chart.rendering import CHART, EXAMPLES, MATRIX, example, render

KUBERNETES = ["1.30", "1.33", "1.37"]
CUSTOM: dict[str, type[BaseModel]] = {
    "ServiceMonitor": operator.ServiceMonitor,
    "PrometheusRule": operator.PrometheusRule,
    "ScaledObject": keda.ScaledObject,
}
CPU = {"gpu": {"count": 0}, "redis": {"url": "redis://h"}}

every_release = pytest.mark.parametrize("name", MATRIX)


@every_release
def test_lint_is_silent(name: str) -> None:
    report = helm_python.lint(CHART, MATRIX[name], strict=True, kube_version="1.33.0")
    assert not report["errors"]
    assert [m for m in report["messages"] if m["error"] != "icon is recommended"] == []


@every_release
@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    for one in example(name).objects:
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, version, strict=True)


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Fields that a model dropped because it does not know them."""
    if isinstance(given, dict):
        known = given.keys() & kept.keys()
        missing = [f"{path}.{key}" for key in given.keys() - known]
        return missing + [x for key in known for x in lost(given[key], kept[key], f"{path}.{key}")]
    if isinstance(given, list):
        pairs = enumerate(zip(given, kept, strict=True))
        return [x for i, (g, k) in pairs for x in lost(g, k, f"{path}[{i}]")]
    return []


def unknown_fields(one: dict[str, Any]) -> list[str]:
    parsed = CUSTOM[one["kind"]].model_validate(one)
    return lost(one, parsed.model_dump(by_alias=True, exclude_unset=True, mode="json"))


def test_custom_resources_have_only_known_fields() -> None:
    found = [one for one in example("full").objects if one["kind"] in CUSTOM]
    assert {one["kind"] for one in found} == set(CUSTOM)
    for one in found:
        assert unknown_fields(one) == []
    assert unknown_fields(found[0] | {"spec": found[0]["spec"] | {"wrong": 1}}) == [".spec.wrong"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_release_consists_of(name: str, snapshot: SnapshotAssertion) -> None:
    assert [f"{o['kind']}/{o['metadata']['name']}" for o in example(name).objects] == snapshot


def test_the_deployment(snapshot: SnapshotAssertion) -> None:
    assert example("valkey").one("Deployment")["spec"] == snapshot


@every_release
def test_no_pod_has_more_rights_than_it_needs(name: str) -> None:
    objects = example(name).objects
    pods = [o["spec"]["template"]["spec"] for o in objects if "template" in o.get("spec", {})]
    pods += [o["spec"] for o in objects if o["kind"] == "Pod"]
    assert len(pods) >= 2
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


@every_release
def test_volumes_and_mounts_agree(name: str) -> None:
    pod = example(name).pod
    mounted = {m["name"] for c in pod["containers"] for m in c["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@every_release
def test_services_and_budgets_select_the_pods_they_mean(name: str) -> None:
    release = example(name)
    labels = release.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert release.one("Service")["spec"]["selector"].items() <= labels
    for one in release.all("PodDisruptionBudget"):
        assert one["spec"]["selector"]["matchLabels"].items() <= labels
    for one in release.all("ServiceMonitor"):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        assert wanted <= release.one("Service")["metadata"]["labels"].items()
    for one in release.all("StatefulSet"):  # its pods must not get the service's requests
        other = one["spec"]["template"]["metadata"]["labels"].items()
        assert not release.one("Service")["spec"]["selector"].items() <= other


def test_a_gpu_changes_image_resources_and_rollout() -> None:
    cpu, gpu = render(CPU), example("hpa")
    assert cpu.container["image"] == "larimar-service:0.1.0-cpu"
    assert gpu.container["image"] == "larimar-service:0.1.0-cuda"
    assert "nvidia.com/gpu" not in cpu.container["resources"]["limits"]
    assert gpu.container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 2}
    rollout = [r.one("Deployment")["spec"]["strategy"]["rollingUpdate"] for r in (cpu, gpu)]
    assert rollout == [
        {"maxSurge": 1, "maxUnavailable": 0},
        {"maxSurge": 0, "maxUnavailable": 1},
    ]


def test_autoscalers_own_the_number_of_replicas() -> None:
    assert "replicas" not in example("full").one("Deployment")["spec"]
    assert "replicas" not in example("hpa").one("Deployment")["spec"]
    assert render(CPU | {"replicaCount": 3}).one("Deployment")["spec"]["replicas"] == 3
    [metric] = example("hpa").one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "larimar_engine_items"  # the queue, never CPU


@pytest.mark.parametrize(
    ("budget", "period", "threshold"), [(300, 5, 60), (301, 5, 61), (10, 30, 1)]
)
def test_the_startup_probe_waits_for_the_load(budget: int, period: int, threshold: int) -> None:
    times = {"loadTimeoutSeconds": budget, "probes": {"startup": {"periodSeconds": period}}}
    release = render(CPU | times)
    assert release.container["startupProbe"]["failureThreshold"] == threshold
    assert release.one("Deployment")["spec"]["progressDeadlineSeconds"] > budget


@pytest.mark.parametrize(("sleep", "delay", "timeout"), [(0, 5, 30), (10, 0, 600), (0, 0.5, 1.25)])
def test_the_grace_period_outlasts_the_drain(sleep: int, delay: float, timeout: float) -> None:
    settings = {"drainDelay": delay, "drainTimeout": timeout}
    release = render(CPU | {"preStopSleepSeconds": sleep, "settings": settings})
    cut = 2  # what the service gives the last error events
    assert release.pod["terminationGracePeriodSeconds"] > sleep + delay + timeout + cut
    assert ("lifecycle" in release.container) == (sleep > 0)


def test_a_changed_setting_restarts_the_pods() -> None:
    def annotations(**settings: Any) -> Any:
        release = render(CPU | {"settings": settings})
        return release.one("Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations(maxRows=1) == annotations(maxRows=1) != annotations(maxRows=2)


def test_another_image_gets_another_weights_job() -> None:
    values = EXAMPLES["full"]
    jobs = [render(values | {"image": {"tag": tag}}).all("Job") for tag in ("a", "a", "b")]
    names = [job["metadata"]["name"] for [job] in jobs]
    assert names[0] == names[1] != names[2]


def test_the_notes_lead_to_the_key() -> None:
    assert "get secret mine" in example("secrets of one's own").notes
    assert r"{.data.key\.txt}" in example("secrets of one's own").notes
