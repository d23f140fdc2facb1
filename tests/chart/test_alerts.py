"""The rendered alerts fire when they should and not before, by Prometheus' own test tool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import ROOT, example

CASES = Path(__file__).with_name("alerts.yaml")
GROUPS = example("full").one("PrometheusRule")["spec"]
ALERTS = [rule for group in GROUPS["groups"] for rule in group["rules"]]
RUNBOOK = ROOT / "docs" / "operations" / "runbook.md"


@pytest.fixture(scope="session")
def promtool() -> str:
    found = subprocess.run([ROOT / "scripts" / "promtool"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(GROUPS))
    shutil.copy(CASES, tmp_path)
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    run(promtool, "test", "rules", CASES.name, cwd=tmp_path)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in yaml.safe_load(CASES.read_text("utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    assert set(cases) == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}


def test_every_alert_leads_to_its_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        anchor = rule["alert"].lower()
        address = f"https://docs.example.com/larimar/runbook.md#{anchor}"
        assert rule["annotations"]["runbook_url"] == address


def test_alerts_see_only_their_own_release() -> None:
    for rule in ALERTS:
        selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert selectors
        assert all('job="rel-larimar",namespace="prod"' in one for one in selectors)


def test_compose_reads_the_same_rules(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "helm" / "larimar" / "rules", tmp_path / "rules")
    shutil.copy(ROOT / "docker" / "prometheus.yaml", tmp_path)
    run(promtool, "check", "config", "prometheus.yaml", cwd=tmp_path)
    text = (tmp_path / "rules" / "larimar.yaml").read_text("utf-8")
    scrapes = yaml.safe_load((tmp_path / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    assert {scrape["job_name"] for scrape in scrapes} == set(re.findall(r'job="(\w+)"', text))
