"""Settings: where they come from, and one clear line where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.settings import SettingsError, load


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine's own."""
    for name in list(os.environ):
        if name.startswith("LARIMAR_"):
            monkeypatch.delenv(name)


def test_the_environment_wins_over_secrets_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "larimar.toml").write_text('port = 1\nhost = "0.0.0.0"\nmax_rows = 3\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "larimar_admin_key").write_text("from-a-secret-file\n")
    (secrets / "larimar_port").write_text("2")
    monkeypatch.setenv("LARIMAR_CONFIG_FILE", str(tmp_path / "larimar.toml"))
    monkeypatch.setenv("LARIMAR_SECRETS_DIR", str(secrets))
    assert load().port == 2
    monkeypatch.setenv("LARIMAR_PORT", "3")
    settings = load(host=None)
    assert (settings.port, settings.host, settings.max_rows) == (3, "0.0.0.0", 3)
    assert load(port=4).port == 4
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "from-a-secret-file"
    assert "from-a-secret-file" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("LARIMAR_PORT", "no", "LARIMAR_PORT"),
        ("LARIMAR_PORT", "70000", "LARIMAR_PORT"),
        ("LARIMAR_DURABILITY", "replicated:0", "LARIMAR_DURABILITY"),
        ("LARIMAR_EMBEDDED", "false", "LARIMAR_REDIS_URL"),
        ("LARIMAR_REDIS_URL", "redis://localhost", "LARIMAR_ADMIN_KEY"),
        ("LARIMAR_AUTH", "maybe", "LARIMAR_AUTH"),
        ("LARIMAR_CONFIG_FILE", "/nowhere.toml", "/nowhere.toml"),
        ("LARIMAR_SECRETS_DIR", "/nowhere", "/nowhere"),
        ("LARIMAR_QUOTA_FACT", "5", "LARIMAR_QUOTA_FACT is no setting: LARIMAR_QUOTA_FACTS?"),
    ],
)
def test_a_wrong_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=line) as caught:
        load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["port = ", 'no_such_setting = "x"', "port = 70000"])
def test_a_wrong_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "larimar.toml"
    file.write_text(text)
    monkeypatch.setenv("LARIMAR_CONFIG_FILE", str(file))
    with pytest.raises(SettingsError) as caught:
        load()
    assert "\n" not in str(caught.value)


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARIMAR_REDIS_CLUSTER", "true")
    monkeypatch.setenv("LARIMAR_DURABILITY", "replicated:1")
    with pytest.raises(SettingsError, match="LARIMAR_DURABILITY"):
        load()
    monkeypatch.setenv("LARIMAR_DURABILITY", "local")
    assert load().replicas == 0
    monkeypatch.setenv("LARIMAR_REDIS_CLUSTER", "false")
    monkeypatch.setenv("LARIMAR_DURABILITY", "replicated:2")
    assert load().replicas == 2
