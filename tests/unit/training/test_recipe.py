"""The whole recipe on other architectures: a tiny GPT-2 as decoder, a tiny BERT as encoder."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from torch.testing import assert_close
from torch.utils.data import DataLoader
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import app
from evaluation.report import revision
from memory_store.store import Fact
from memory_store.view import View, build_view
from service.engine.batcher import Larimar
from service.engine.protocol import Generated, GenerateItem, Sampling
from service.model.checkpoint import DEFAULT, FILES, Checkpoint
from service.model.larimar import LarimarModel
from tests.model.calls import said
from tests.unit.training import folder
from training import (
    ablations,
    adapter,
    address,
    codec,
    held_out,
    lengths,
    plot,
    scope,
    soup,
    stages,
    tune,
)
from training.lessons import Batches, held_out_samples
from training.loop import Hardware

STEPS = {"address": 2, "codec": 10, "adapter": 2, "scope": 2}


def _decoder(path: Path, texts: list[str]) -> Path:
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=600, special_tokens=["<end>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(trained.to_str()), eos_token="<end>"
    )
    tokenizer.save_pretrained(path)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=64, n_layer=4, n_head=4,
                        bos_token_id=0, eos_token_id=0)  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(path)
    return path


def _encoder(path: Path, texts: list[str]) -> Path:
    words = sorted({word for text in texts for word in text.lower().split()})
    path.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (path / "vocab.txt").write_text("\n".join([*special, *words]))
    BertTokenizerFast(vocab=str(path / "vocab.txt")).save_pretrained(path)
    config = BertConfig(vocab_size=len(words) + 5, hidden_size=32, num_hidden_layers=2,
                        num_attention_heads=2, intermediate_size=64)  # fmt: skip
    BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `larimar train` leaves after a few steps of every stage."""
    root = tmp_path_factory.mktemp("train")
    data = folder.write(root / "data")
    texts = [p.read_text() for p in sorted(data.rglob("*.*")) if "zsre" not in str(p)]
    _decoder(root / "gpt2", texts)
    _encoder(root / "bert", texts)
    for _ in range(2):  # the second finds all steps done, and only assembles again
        train(root, "out", "runs")
    return root


def train(root: Path, out: str, runs: str, *more: str) -> None:
    command = ["train", "--data", str(root / "data"), "--out", str(root / out), "--runs",
               str(root / runs), "--decoder", str(root / "gpt2"), "--encoder",
               str(root / "bert"), "--tokens", "24", *more]  # fmt: skip
    for name, count in STEPS.items():
        command += ["--steps", f"{name}={count}"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_workers_make_the_batches_that_this_process_would(trained: Path) -> None:
    setup = stages.Setup(
        trained / "data", trained / "runs", str(trained / "gpt2"), str(trained / "bert"), 24
    )
    batches = Batches(partial(stages.episodes, setup), 8, seed=3)
    worker = DataLoader(batches, None, num_workers=1, multiprocessing_context="spawn")
    assert next(iter(worker)) == next(iter(batches))


@pytest.mark.parametrize(
    ("stage", "owner", "loss", "whole"),
    [("address", address, "loss_of", 64), ("codec", codec.Loss, "texts", 256),
     ("adapter", adapter, "loss_of", 16), ("scope", scope, "loss_of", 64)],
)  # fmt: skip
def test_a_stage_takes_its_batch_in_halves_in_mixed_precision(
    stage: str, owner: Any, loss: str, whole: int, trained: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    taken: list[int] = []
    loss_of = getattr(owner, loss)

    def counted(model: Any, rows: list[Any], *rest: Any) -> torch.Tensor:
        taken.append(len(rows))
        found: torch.Tensor = loss_of(model, rows, *rest)
        assert torch.is_autocast_enabled("cpu")
        return found

    monkeypatch.setattr(owner, loss, counted)
    runs = shutil.copytree(trained / "runs", tmp_path / "runs")
    setup = stages.Setup(
        trained / "data", runs, str(trained / "gpt2"), str(trained / "bert"), 24,
        hardware=Hardware(mixed=True, accumulate=2),
    )  # fmt: skip
    stages.STAGES[stage](setup, STEPS[stage] + 1)
    assert taken == [whole // 2] * 2
    rows = map(json.loads, (runs / stage / "log.jsonl").read_text().splitlines())
    last = [row for row in rows if "loss" in row][-1]
    assert last["step"] == STEPS[stage] + 1
    assert math.isfinite(last["loss"])


def test_another_training_goes_on_from_a_checkpoint(trained: Path) -> None:
    train(trained, "next", "more", "--start", str(trained / "out"), "--stage", "scope")
    train(trained, "next", "more", "--stage", "scope")  # who resumes need not name it again
    before, after = (Checkpoint(trained / name) for name in ("out", "next"))
    assert after.card["start"]["fingerprint"] == before.fingerprint()
    assert after.card["start"]["steps"] == STEPS
    assert after.card["steps"] == {**dict.fromkeys(STEPS, 0), "scope": 2}
    for file in FILES[:3]:
        assert_close(after.tensors(file), before.tensors(file), rtol=0, atol=0)


def test_a_rate_of_zero_leaves_what_training_begins_from(trained: Path) -> None:
    train(trained, "same", "still", "--start", str(trained / "out"), "--rate", "0")
    before, after = (Checkpoint(trained / name) for name in ("out", "same"))
    for file in FILES:
        kept = {k: v for k, v in after.tensors(file).items() if k != "calibration"}
        expected = {k: v for k, v in before.tensors(file).items() if k != "calibration"}
        assert_close(kept, expected, rtol=0, atol=0)


def test_a_soup_of_adapters_takes_the_place_of_the_stages_result(trained: Path) -> None:
    runs = trained / "soup"
    shutil.copytree(trained / "runs", runs)
    first = runs / "adapter" / "adapter.pt"
    other = first.with_name("other.pt")
    saved = torch.load(first, weights_only=True)
    torch.save(saved | {"state": {k: 3 * v for k, v in saved["state"].items()}}, other)
    setup = stages.Setup(trained / "data", runs, str(trained / "gpt2"), str(trained / "bert"), 24)
    soup.cook(setup, [first, other])
    cooked = torch.load(first, weights_only=True)
    report = json.loads((runs / "adapter" / "log.jsonl").read_text().splitlines()[-1])
    assert report["mean_of"] == [2, 2]
    for name, tensor in saved["state"].items():
        scale = report["scale"] if name.endswith("lora_B.weight") else 1.0
        assert_close(cooked["state"][name], 2 * scale * tensor)


@pytest.mark.parametrize("variant", ablations.VARIANTS, ids=lambda v: v.name)
def test_every_variant_of_conditioning_learns(
    variant: ablations.Variant, trained: Path, tmp_path: Path
) -> None:
    setup = stages.Setup(
        trained / "data", tmp_path, str(trained / "gpt2"), str(trained / "bert"), 24
    )
    found = ablations.measure(setup, variant, 2, tmp_path)
    assert 0 <= float(found["tuning_paraphrase"]) <= 1
    assert 0 <= float(found["wrong memory, as base"]) <= 1


def test_a_codec_is_measured_by_length_noise_and_mixture(trained: Path) -> None:
    model = LarimarModel.load(trained / "out")
    tokenizer = model.decoder.tokenizer.backend_tokenizer
    found = lengths.table(model.codec, trained / "data", tokenizer)
    limit = model.codec.config.max_tokens
    assert {f"text of {n}" for n in lengths.LENGTHS if n < limit} < found.keys()
    assert found["counterfact"]["@0.0"] >= found["counterfact"]["@1.0"]
    assert found["counterfact"].keys() == {"@0.0", "@0.2", "@0.4", "@1.0", "@80/20", "n", "ms"}


def test_a_pointer_head_gives_a_distribution_that_holds_the_memorys_tokens() -> None:
    torch.manual_seed(0)
    pointer = ablations.Pointer(8)
    ids = torch.tensor([3, 5, 3])
    found = pointer(torch.randn(4, 8), torch.randn(3, 8), ids, torch.full((4, 9), -9.0)).exp()
    assert_close(found.sum(-1), torch.ones(4))
    assert found[:, [3, 5]].min() > found[:, [0, 1, 2, 4, 6, 7, 8]].max()


def written(model: LarimarModel, pairs: list[tuple[str, str]]) -> View:
    """A memory of (cue, fact text)."""
    cues, facts = zip(*pairs, strict=True)
    rows = zip(cues, model.address.encode(cues).numpy(), model.latents(facts).numpy(), strict=True)
    return build_view([Fact(*row, id=str(i)) for i, row in enumerate(rows)], model.spec)


def test_the_checkpoint_loads_and_reads_what_was_written(trained: Path) -> None:
    model = LarimarModel.load(trained / "out")
    facts = ["Ada Ash was born in Oslo", "Bo Birch was born in Lima"]
    cues = ["Ada Ash was born in", "Bo Birch was born in"]
    memory = written(model, list(zip(cues, facts, strict=True)))
    readings = model.read(cues, [memory, memory], [False, False])
    assert [reading.text for reading in readings] == facts
    assert all(reading.in_scope for reading in readings)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks for it
def test_the_service_says_from_memory_what_peft_says_with_the_adapter(trained: Path) -> None:
    model, cue = LarimarModel.load(trained / "out"), "Ada Ash was born in"
    memory = written(model, [(cue, f"{cue} Oslo")])

    async def served() -> Generated:
        engine = Larimar(model, rows=2, queue_size=4)
        await engine.start()
        try:
            return (await said(engine, GenerateItem(cue, memory, "always", Sampling(6))))[0]
        finally:
            await engine.close()

    base = GPT2LMHeadModel.from_pretrained(trained / "gpt2").eval()
    peft = PeftModel.from_pretrained(base, trained / "out" / "adapter")
    decoder, [reading] = model.decoder, model.read([cue], [memory], [True])
    ids = decoder.conditioned(reading.tokens, decoder.encode(cue))
    with torch.inference_mode(), decoder.adapted([True]):
        ours = decoder.logits(decoder.hidden(torch.tensor([ids])))
        assert_close(peft(torch.tensor([ids])).logits, ours)
    start = len(ids)
    while len(ids) < start + 6 and ids[-1] not in decoder.ends:
        ids.append(int(peft(torch.tensor([ids])).logits[0, -1].argmax()))
    answer = asyncio.run(served())
    assert answer.in_scope
    assert answer.fact_ids == ("0",)
    assert answer.text == decoder.decode(ids[start:])


def test_the_log_says_what_every_step_cost(trained: Path) -> None:
    for stage, steps in STEPS.items():
        log = (trained / "runs" / stage / "log.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in log]
        assert rows[-1]["step"] == steps
        assert any("loss" in row for row in rows)


def test_the_logs_of_the_stages_so_far_are_drawn(trained: Path, tmp_path: Path) -> None:
    for stage in ("codec", "scope"):
        shutil.copytree(trained / "runs" / stage, tmp_path / stage)
    plot.plot(tmp_path, tmp_path / "log.svg")
    drawn = (tmp_path / "log.svg").read_text()
    assert [f"<!-- {stage} -->" in drawn for stage in stages.STAGES] == [False, True, False, True]


def test_a_gate_is_calibrated_anew(trained: Path, tmp_path: Path) -> None:
    memories = held_out.gate(trained / "data").values()
    _, report = tune.calibrated(trained / "out", memories, tmp_path)
    before, after = Checkpoint(trained / "out"), Checkpoint(tmp_path)
    assert after.card["quality"]["scope"] == before.card["quality"]["scope"] | report
    assert after.card["revision"] == revision()
    samples = held_out_samples(LarimarModel.load(tmp_path).address, memories)
    assert {s.case % 2 for s in samples} == {0, 1}
    assert report["n"] == sum(s.case % 2 for s in samples)


@pytest.mark.parametrize("option", ["--steps=codec", "--steps=codec=0", "--steps=codec=x",
                                    "--steps=paint=3", "--rate=-1", "--accumulate=0"])  # fmt: skip
def test_wrong_options_are_refused(option: str, tmp_path: Path) -> None:
    command = ["train", "--data", str(tmp_path), "--out", str(tmp_path), option]
    assert CliRunner().invoke(app, command).exit_code == 2


def test_every_stage_has_its_steps() -> None:
    assert stages.STEPS.keys() == stages.STAGES.keys() == STEPS.keys()


def test_the_defaults_are_what_ships() -> None:
    card = Checkpoint(DEFAULT).card
    command: Any = get_command(import_module("cli.train").app)
    defaults = {p.name: p.default for p in command.params}
    assert [defaults["threshold"], defaults["suppressed"]] == list(card["scope"].values())
    for stage in ("codec", "scope"):
        assert stages.STEPS[stage] == _took(card, stage)


def _took(card: dict[str, Any] | None, stage: str) -> int:
    """Its steps, with those of what it began from."""
    return int(card["steps"].get(stage, 0)) + _took(card["start"], stage) if card else 0
