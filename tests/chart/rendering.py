"""The chart as Helm's own engine renders it, without a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "larimar"
RELEASE, NAMESPACE = "rel", "prod"
EXAMPLES = {
    path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((CHART / "ci").glob("*-values.yaml"))
}
# What the examples leave out.
MORE: dict[str, dict[str, Any]] = {
    "secrets of one's own": {
        "valkey": {"enabled": True, "existingSecret": "mine", "existingSecretKey": "pw"},
        "auth": {"existingSecret": "mine", "existingSecretKey": "key.txt"},
    },
    "a claim of one's own": {
        "redis": {"url": "rediss://h:6380"},
        "weights": {"persistence": {"enabled": True, "existingClaim": "mine"}},
        "networkPolicy": {"redisPorts": [6380, 6381], "extraEgress": [{"to": []}]},
    },
    "nothing optional": {
        "redis": {"url": "redis://h"},
        "resources": {},
        "topologySpreadConstraints": [],
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "serviceAccount": {"create": False},
    },
}
MATRIX = EXAMPLES | MORE


@dataclass(frozen=True)
class Release:
    """What a release consists of."""

    objects: tuple[dict[str, Any], ...]
    notes: str

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, suffix: str = "") -> dict[str, Any]:
        """The only object of that kind whose name ends like that."""
        [found] = [o for o in self.all(kind) if o["metadata"]["name"] == f"rel-larimar{suffix}"]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        [container] = self.pod["containers"]
        assert isinstance(container, dict)
        return container


def render(values: dict[str, Any]) -> Release:
    """Raises helm_python's HelmError, whose text is what a person would see."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    notes = files.pop("larimar/templates/NOTES.txt")
    documents = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return Release(tuple(documents), notes)


@cache
def example(name: str) -> Release:
    """One of MATRIX, rendered."""
    return render(MATRIX[name])


def environment(release: Release, secrets: dict[tuple[str, str], str]) -> dict[str, str]:
    """The container's variables as a kubelet would set them; `secrets` by (name, key)."""
    [source] = release.container["envFrom"]
    found = dict(release.one("ConfigMap")["data"])
    assert source["configMapRef"]["name"] == release.one("ConfigMap")["metadata"]["name"]
    for variable in release.container["env"]:
        if "valueFrom" in variable:
            ref = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = secrets[ref["name"], ref["key"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], variable["value"])
            found[variable["name"]] = value
    return found
