"""A rolling upgrade between two real checkpoints: refused, re-encoded, answered as before.

The second one is the shipped checkpoint with both halves of its codec mirrored: alone it answers
the same to the bit, but every latent of the first is the wrong way round to it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from cli.main import app
from memory_store.embedded import EmbeddedValkey
from service.engine.batcher import Larimar
from service.model.checkpoint import DEFAULT
from service.model.larimar import LarimarModel
from tests.api.calls import Tenant, error, ok
from tests.api.running import ADMIN_KEY, listening, settings

FACTS: list[dict[str, Any]] = [
    {"prompt": "The owner of the billing service is", "target": "Priya Nakamura", "id": "owner"},
    {"text": "The spare key is under the blue flowerpot."},
    {"prompt": "The deploy window opens at", "target": "06:45", "ttl_seconds": 1000},
]
ASKED = ["Who owns the billing service?", "The deploy window opens at", "The spare key is"]
TEXT = "Ondine Vasari is the harbour master of Port Ellory. She was born in Lisbon."


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path / "valkey")
    yield server.start()
    server.stop()


def mirrored(folder: Path) -> Path:
    shutil.copytree(DEFAULT, folder)
    tensors = load_file(folder / "codec.safetensors")
    save_file(
        {k: -v if k in ("bind", "unbind") else v for k, v in tensors.items()},
        folder / "codec.safetensors",
    )
    return folder


def test_two_checkpoints_in_a_rolling_upgrade(
    model: LarimarModel, url: str, tmp_path: Path
) -> None:
    folder = mirrored(tmp_path / "checkpoint")
    second = LarimarModel.load(folder)
    assert second.spec.fingerprint != model.spec.fingerprint
    with (
        listening(settings(url), Larimar(model)) as old,
        listening(settings(url), Larimar(second)) as new,
        old.client() as before,
        new.client() as after,
    ):
        tenant, moved = Tenant(before, "acme"), Tenant(after, "acme")
        before.put(tenant.path).raise_for_status()
        tenant.write(*FACTS)
        ok(tenant.post("documents", {"text": TEXT, "id": "port"}))
        tenant.forget(prompts=["The capital of France is"], mode="suppress")
        facts, answers = tenant.facts(), [tenant.generate(prompt) for prompt in ASKED]
        assert answers[0]["text"].strip() == "Priya Nakamura"
        error(moved.post("generate", {"prompt": ASKED[0]}), 503, "checkpoint_mismatch")
        error(moved.post("write", {"facts": FACTS}), 503, "checkpoint_mismatch")
        assert [tenant.generate(prompt) for prompt in ASKED] == answers

        env = {"LARIMAR_URL": new.url, "LARIMAR_KEY": ADMIN_KEY, "LARIMAR_CHECKPOINT": str(folder)}
        done = CliRunner().invoke(app, ["reencode"], env=env)
        assert done.exit_code == 0, done.output
        assert f"acme: reencoded, {len(facts)} rows" in done.stdout
        assert moved.facts() == facts
        found = [moved.generate(prompt) for prompt in ASKED]
        assert [one["text"] for one in found] == [one["text"] for one in answers]
        assert [one["fact_ids"] for one in found] == [one["fact_ids"] for one in answers]
        document = ok(after.get(f"{moved.path}/documents/port"))
        assert document["status"] == "complete"
        error(tenant.post("generate", {"prompt": ASKED[0]}), 503, "checkpoint_mismatch")
