"""What the chart says of the service is true: settings, probes, ports, metrics, times, folders."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import __version__
from service.app import create_app
from service.metrics import Metrics
from service.settings import Settings, load
from tests.chart.rendering import CHART, EXAMPLES, MATRIX, ROOT, environment, example

KNOWN = {f"LARIMAR_{name.upper()}" for name in Settings.model_fields} | {"LARIMAR_CACHE_DIR"}
# Not the service's: OpenSSL's, and the part of LARIMAR_REDIS_URL that a Secret holds.
OTHERS = {"SSL_CERT_FILE", "VALKEY_PASSWORD"}
DASHBOARD = json.loads((CHART / "dashboards" / "larimar.json").read_text("utf-8"))
RULES = yaml.safe_load((CHART / "rules" / "larimar.yaml").read_text("utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))

every_release = pytest.mark.parametrize("name", MATRIX)


def names(variables: list[dict[str, Any]]) -> set[str]:
    return {variable["name"] for variable in variables}


@every_release
def test_every_variable_is_a_setting(name: str) -> None:
    release = example(name)
    own = names(MATRIX[name].get("extraEnv", []))
    given = names(release.container["env"]) - own | release.one("ConfigMap")["data"].keys()
    assert given - OTHERS <= KNOWN
    for job in release.all("Job"):
        assert names(job["spec"]["template"]["spec"]["containers"][0]["env"]) <= KNOWN


def test_the_cache_folder_is_one_that_the_weights_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memory_store.compiled import cache_dir
    from service.model import weights

    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    [wait] = example("full").pod["initContainers"]
    folder = example("full").one("ConfigMap")["data"]["LARIMAR_CACHE_DIR"]
    parts = {weights.DEFAULT_DECODER, weights.DEFAULT_ENCODER}
    assert set(wait["args"]) == {f"{folder}/{part}" for part in parts}


def test_values_know_every_setting_that_the_chart_does_not_make() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    named = schema["properties"]["settings"]["properties"]
    offered = {re.sub("([A-Z])", r"_\1", name).lower() for name in named}
    made = {"host", "port", "data_dir", "embedded", "device", "redis_url", "redis_cluster"}
    made |= {"auth", "admin_key", "admin_key_file", "receipt_key_file", "metrics_token"}
    made |= {"metrics_port"}  # a monitor scrapes the service's own
    assert offered == Settings.model_fields.keys() - made


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_service_starts_with_these_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        ("rel-larimar-valkey", "password"): "secret",
        ("larimar-redis", "redis-url"): "rediss://:secret@cluster:6379",
        ("rel-larimar-redis", "redis-url"): "redis://:secret@redis.example.com:6379/0",
        ("rel-larimar-metrics", "token"): "token",
    }
    for variable, value in environment(example(name), secrets).items():
        monkeypatch.setenv(variable, value)
    settings = load()
    assert settings.port == example(name).container["ports"][0]["containerPort"]
    assert settings.cache_bytes == 1 << 30
    assert settings.device == ("cpu" if name == "valkey" else "cuda")
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value().startswith("redis")
    assert settings.admin_key_file == Path("/etc/larimar/admin/admin-key")
    if name == "full":
        assert settings.quota_facts == 5_000_000
        assert settings.redis_cluster


@pytest.mark.parametrize(
    ("name", "volume", "setting", "key"),
    [
        ("secrets of one's own", "admin", "LARIMAR_ADMIN_KEY_FILE", "key.txt"),
        ("full", "receipts", "LARIMAR_RECEIPT_KEY_FILE", "receipt.key"),
    ],
)
def test_a_key_file_is_mounted_where_its_setting_points(
    name: str, volume: str, setting: str, key: str
) -> None:
    release = example(name)
    [mount] = [m for m in release.container["volumeMounts"] if m["name"] == volume]
    assert Path(release.one("ConfigMap")["data"][setting]) == Path(mount["mountPath"]) / key


@cache
def served() -> set[str]:
    """Paths that the service answers."""
    app = create_app(Settings())
    return set(app.openapi()["paths"])


@every_release
def test_probes_and_scrapes_go_to_paths_and_ports_that_exist(name: str) -> None:
    release, paths = example(name), served()
    ports = {port["name"] for port in release.container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        target = release.container[probe]["httpGet"]
        assert target["path"] in paths
        assert target["port"] in ports
    [port] = release.one("Service")["spec"]["ports"]
    assert port["targetPort"] in ports
    for monitor in release.all("ServiceMonitor"):
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["path"] in paths
        assert endpoint["port"] == port["name"]
        credentials = endpoint["authorization"]["credentials"]
        secret = release.one("Secret", "-metrics")
        assert credentials == {"name": secret["metadata"]["name"], "key": "token"}
        assert list(secret["data"]) == ["token"]


def metric_labels() -> dict[str, set[str]]:
    """Every series' name with its labels, as Prometheus sees them."""
    found: dict[str, set[str]] = {"up": set()}
    kinds = {
        "counter": ["_total"],
        "gauge": [""],
        "histogram": ["_bucket", "_sum", "_count"],
    }
    metrics = Metrics()
    labels = {
        metric._name: set(metric._labelnames)
        for metric in vars(metrics).values()
        if hasattr(metric, "_labelnames")
    }
    for family in metrics.registry.collect():
        for suffix in kinds.get(family.type, []):
            found[family.name + suffix] = labels.get(family.name, set())
    return found


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    triggers = example("full").one("ScaledObject")["spec"]["triggers"]
    return panels + rules + [trigger["metadata"]["query"] for trigger in triggers]


def test_every_metric_asked_for_exists_with_its_labels() -> None:
    known = metric_labels()
    seen = 0
    for expression in expressions():
        for metric, selector in re.findall(r"([a-z_]+)\{([^}]*)\}", expression):
            assert metric in known, expression
            labels = set(re.findall(r"(\w+)=", selector))
            assert labels <= known[metric] | {"job", "namespace", "instance"}, expression
            seen += 1
    assert seen > 30
    assert DASHBOARD["templating"]["list"][1]["query"]["query"].split("(")[1].split(",")[0] in known


def test_one_version_everywhere() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == __version__
    assert COMPOSE["services"]["larimar"]["image"] == f"larimar-service:{__version__}-cpu"
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text("utf-8")


def test_compose_sets_settings_mounts_files_and_waits_for_the_drain() -> None:
    services = COMPOSE["services"]
    assert services["larimar"]["environment"].keys() <= KNOWN
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / "docker" / source).exists(), source
    drain = Settings().drain_delay + Settings().drain_timeout
    assert int(services["larimar"]["stop_grace_period"].removesuffix("s")) > drain + 2


def test_the_image_sets_settings() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    given = set(re.findall(r"(LARIMAR_\w+)=", text))
    assert {"LARIMAR_EMBEDDED", "LARIMAR_HOST"} <= given <= KNOWN
