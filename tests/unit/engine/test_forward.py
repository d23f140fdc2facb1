"""The native step against transformers, on a small decoder with random weights and adapter."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from memory_store.compiled import Compiled
from service.engine.forward import Forward, Part, forward_of
from service.engine.native.library import STEP, library
from service.engine.native.model import NativeForward, runs
from service.engine.static import Run, StaticForward
from service.engine.transformer import TransformerForward
from service.model.decoder import Decoder
from service.model.lora import AdapterConfig
from tests.unit.engine.test_packing import quantised

VOCABULARY = 100
TOLERANCE = 1e-4
KINDS: list[type[NativeForward | TransformerForward]] = [TransformerForward, StaticForward]
if library() is not None:
    KINDS.append(NativeForward)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """Two blocks, one of them adapted; four-bit, eight-bit and other weights."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=96, intermediate_size=160,
                         num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
                         head_dim=16, max_position_embeddings=256, tie_word_embeddings=True,
                         bos_token_id=1, eos_token_id=2)  # fmt: skip
    model = LlamaForCausalLM(config)
    for block in model.model.layers:
        for linear, bits in ((block.self_attn.o_proj, 4), (block.mlp.up_proj, 8)):
            linear.weight.data = 4 * quantised(bits, *linear.weight.shape)
        block.mlp.gate_proj.weight.data *= 20
    return decoder_of(model, tmp_path_factory.mktemp("decoder"))


def decoder_of(model: LlamaForCausalLM, folder: Path) -> Decoder:
    model.save_pretrained(folder)
    words = {f"w{i}": i for i in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="w1", eos_token="w2"
    ).save_pretrained(folder)  # fmt: skip
    decoder = Decoder(str(folder), AdapterConfig(first_block=1))
    for adapter in decoder.adapters.values():
        nn.init.normal_(adapter.lora_B.weight, std=0.3)
        for half in (adapter.lora_A, adapter.lora_B):
            half.weight.data = half.weight.data.half().float()  # as a checkpoint holds them
    return decoder


def prompt(length: int) -> list[int]:
    return [(7 * i + length) % (VOCABULARY - 3) + 3 for i in range(length)]


def logits(forward: Forward, ids: list[int], adapted: bool, chunks: list[int]) -> Tensor:
    """After the last token of `ids`, given in chunks of these lengths. (V,)"""
    slot = forward.open(len(ids))
    start = 0
    for length in chunks:
        part = Part(slot, start, ids[start : start + length], adapted, start + length == len(ids))
        out = forward.extend([part])
        start += length
    forward.close(slot)
    return out[0]


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("length", [1, 3, 70])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_model_itself(
    decoder: Decoder, kind: type[NativeForward | TransformerForward], adapted: bool, length: int
) -> None:
    ids = prompt(length)
    ours = logits(kind(decoder, 2, 512), ids, adapted, [length])
    with torch.inference_mode(), decoder.adapted([adapted]):
        expected = decoder.logits(decoder.hidden(torch.tensor([ids])))[0, -1]
    assert (ours - expected).abs().max() < TOLERANCE
    assert expected.abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_crowds_and_slots_used_before_change_nothing(
    decoder: Decoder, kind: type[NativeForward | TransformerForward]
) -> None:
    """A long prompt in chunks, between rows that come, decode and go, adapted and not."""
    ids = prompt(90)
    alone = logits(kind(decoder, 4, 1024), ids, True, [90])
    forward = kind(decoder, 4, 1024)
    guest, other = forward.open(30), forward.open(40)
    forward.extend([Part(guest, 0, prompt(20), False, True), Part(other, 0, prompt(9), True, True)])
    mine = forward.open(90)
    forward.extend([Part(guest, 20, [5], False, True), Part(mine, 0, ids[:33], True, False)])
    forward.close(guest)
    late = forward.open(30)
    parts = [Part(mine, 33, ids[33:89], True, False), Part(other, 9, [8], True, True),
             Part(late, 0, prompt(30), False, False)]  # fmt: skip
    forward.extend(parts)
    last = [Part(other, 10, [9], True, True), Part(mine, 89, ids[89:], True, True)]
    crowded = forward.extend(last)[1]
    if kind is NativeForward:
        assert torch.equal(crowded, alone)
    else:
        assert (crowded - alone).abs().max() < TOLERANCE


def test_no_captured_pass_outlives_the_cache_that_it_reads(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt's chunk may move the cache, and a CUDA graph goes on reading where it lay."""

    def captured(run: Run, device: torch.device) -> Run:
        where = [x.data_ptr() for x in (*forward.cache.keys, *forward.cache.values)]

        def replay() -> Tensor:
            assert where == [x.data_ptr() for x in (*forward.cache.keys, *forward.cache.values)]
            return run()

        return replay

    monkeypatch.setattr("service.engine.static.capture", captured)
    forward = StaticForward(decoder, 4, 1024)
    short = forward.open(30)
    forward.extend([Part(short, 0, prompt(9), True)])
    forward.extend([Part(short, 9, [5], True)])
    long = forward.open(200)
    forward.extend([Part(long, 0, prompt(150), True)])
    forward.close(long)
    forward.extend([Part(short, 10, [6], True)])


def test_the_native_step_takes_what_it_can_compute(decoder: Decoder) -> None:
    assert runs(decoder) is (library() is not None)
    decoder.model.config.hidden_act = "gelu"
    assert not runs(decoder)
    decoder.model.config.hidden_act = "silu"


@pytest.mark.parametrize("kind", KINDS)
def test_room_is_bounded_by_slots_and_tokens(
    decoder: Decoder, kind: type[NativeForward | TransformerForward]
) -> None:
    forward = kind(decoder, 3, 512)
    assert forward.room(256)
    first = forward.open(256)
    second = forward.open(256)
    assert not forward.room(64)
    forward.close(first)
    slots = [forward.open(64), forward.open(64)]
    assert not forward.room(1)
    for slot in (second, *slots):
        forward.close(slot)
    assert forward.room(256)


@pytest.mark.parametrize("kind", KINDS)
def test_warming_up_leaves_nothing_behind(
    decoder: Decoder, kind: type[NativeForward | TransformerForward]
) -> None:
    ids = prompt(20)
    warm, cold = kind(decoder, 3, 512), kind(decoder, 3, 512)
    warm.warm()
    assert torch.equal(logits(warm, ids, True, [20]), logits(cold, ids, True, [20]))
    assert [warm.room(256), warm.room(64)] == [cold.room(256), cold.room(64)]


def test_static_passes_have_few_shapes(decoder: Decoder) -> None:
    """Rows come and go, grow and are prefilled meanwhile: shapes are powers of two."""
    forward = StaticForward(decoder, 4, 2048)
    at: dict[int, int] = {}
    for turn in range(90):
        if len(at) < 4 and turn % 7 == 0:
            slot = forward.open(200)
            forward.extend([Part(slot, 0, prompt(5), True)])
            at[slot] = 5
        forward.extend([Part(slot, end, [7], slot % 2 == 0) for slot, end in at.items()])
        at = {slot: end + 1 for slot, end in at.items()}
        if turn % 40 == 39:
            forward.close(slot := next(iter(at)))
            del at[slot]
    assert set(forward._passes) <= {(rows, span) for rows in (1, 2, 4) for span in (64, 128)}


@pytest.mark.parametrize("adapted", [False, True])
def test_bfloat16_stays_near(decoder: Decoder, adapted: bool) -> None:
    """What a GPU computes in: base and adapted rows alike, within bfloat16's three digits."""
    half = copy.deepcopy(decoder)
    half.model.to(torch.bfloat16)
    assert not runs(half)
    ids = prompt(40)
    exact = logits(TransformerForward(decoder, 2, 512), ids, adapted, [40])
    ours = logits(StaticForward(half, 2, 512), ids, adapted, [39, 1])
    assert ours.dtype == torch.float32
    assert (ours - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("missing", ["compiler", "instructions"])
def test_without_native_code_transformers_decodes(
    decoder: Decoder, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "step.c"
    shutil.copy(STEP.source, source)
    monkeypatch.setenv("LARIMAR_CACHE_DIR", str(tmp_path / "cache"))
    if missing == "compiler":
        monkeypatch.setenv("CC", "no-such-compiler")
    else:
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr("service.engine.native.library.STEP", Compiled(source))
    library.cache_clear()
    try:
        assert library() is None
        assert type(forward_of(decoder, 2, 512)) is TransformerForward
    finally:
        library.cache_clear()
