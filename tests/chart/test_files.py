"""What is generated is up to date, and what only other machines build is linted here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helm.dashboard import TARGET, dashboard
from helm.readme import described, readme
from tests.chart.rendering import CHART, ROOT, example


def succeeds(*command: str | Path, **environment: str) -> str:
    env = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_is_made_of_the_values() -> None:
    assert (CHART / "README.md").read_text("utf-8") == readme()


def leaves(values: object, path: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [x for k, v in values.items() for x in leaves(v, f"{path}.{k}" if path else k)]


def test_every_value_is_described() -> None:
    text = (CHART / "values.yaml").read_text("utf-8")
    keys = {key for key, _ in described(text)}
    for leaf in leaves(yaml.safe_load(text)):
        parts = leaf.split(".")
        assert keys & {".".join(parts[:n]) for n in range(1, len(parts) + 1)}, leaf


def test_the_dashboard_is_made_of_its_table() -> None:
    assert TARGET.read_text("utf-8") == dashboard()
    assert example("full").one("ConfigMap", "-dashboards")["data"]["larimar.json"] == dashboard()


def bin(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def test_the_dockerfile_is_clean() -> None:
    succeeds(bin("hadolint"), "Dockerfile")


def test_the_shell_scripts_are_clean() -> None:
    succeeds(bin("shellcheck"), "docker/entrypoint.sh", "scripts/image", "scripts/promtool")


@pytest.mark.parametrize(
    ("quota", "given", "threads"),
    [
        ("150000 100000", "", "2"),
        ("400000 100000", "", "4"),
        ("max 100000", "", ""),
        ("400000 100000", "7", "7"),
    ],
)
def test_the_entrypoint_counts_the_containers_cores(
    tmp_path: Path, quota: str, given: str, threads: str
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    (tmp_path / "larimar").write_text('#!/bin/sh\necho "$1:$LARIMAR_THREADS"\n')
    (tmp_path / "larimar").chmod(0o755)
    said = succeeds(
        ROOT / "docker" / "entrypoint.sh",
        "serve",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        CPU_MAX_FILE=str(tmp_path / "cpu.max"),
        LARIMAR_THREADS=given,
    )
    assert said == f"serve:{threads}\n"
