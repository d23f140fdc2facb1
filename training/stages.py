"""The recipe: what is trained, in which order, from which parts (recipe.md).

Every stage reads the data folder and what earlier stages left under `runs`, and goes on from its
own last checkpoint. Any Hugging Face causal LM can be the decoder and any BERT-like encoder the
address encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig

from service.model.address import AddressEncoder, Sketch
from service.model.codec import Codec, CodecConfig
from service.model.decoder import Decoder
from service.model.encoder import SentenceEncoder
from service.model.lora import AdapterConfig
from service.model.scope import ScopeGate
from service.model.weights import DEFAULT_DECODER, DEFAULT_ENCODER, decoder_path, encoder_path
from training import adapter, address, codec, held_out, scope
from training.assemble import assemble, begin
from training.data import Relations
from training.episodes import Readouts
from training.lessons import Episodes, Sample, held_out_samples
from training.loop import Hardware, Plan

# As many as the shipped parts took, the adapter before its means (recipe.md).
STEPS = {"address": 200, "codec": 920, "adapter": 310, "scope": 6200}


@dataclass(frozen=True)
class Setup:
    """What a checkpoint is made of and where.

    `tokens`: T of the codec, the longest fact; `start`: the checkpoint that training goes on from,
    `rate`: at which share of the stages' learning rates.
    """

    data: Path
    runs: Path
    decoder: str = DEFAULT_DECODER
    encoder: str = DEFAULT_ENCODER
    tokens: int = 32
    seed: int = 0
    start: Path | None = None
    rate: float = 1.0
    hardware: Hardware = field(default_factory=Hardware)

    def plan(self, steps: int) -> Plan:
        return Plan(steps, self.hardware, self.seed, self.rate)

    @cached_property
    def base(self) -> Decoder:
        path = decoder_path(self.decoder)
        blocks = AutoConfig.from_pretrained(path).num_hidden_layers
        decoder = Decoder(path, AdapterConfig(first_block=blocks * 4 // 15))
        decoder.model.to(self.hardware.device)
        return decoder

    @property
    def tokenizer(self) -> Tokenizer:
        found: Tokenizer = self.base.tokenizer.backend_tokenizer
        return found

    def sentence_encoder(self) -> SentenceEncoder:
        encoder = SentenceEncoder(encoder_path(self.encoder))
        encoder.model.to(self.hardware.device)
        return encoder

    def texts(self) -> codec.Texts:
        return codec.Texts(self.data, self.tokenizer, self.tokens - 1, self.seed)

    def codec(self) -> Codec:
        """As its stage begins it."""
        table = self.base.embedding
        config = CodecConfig(max_tokens=self.tokens, width=min(256, table.shape[1]))
        model = Codec(config, table, self.base.end)
        model.initialise()
        model.to(self.hardware.device)
        return model

    def addresses(self) -> AddressEncoder:
        """The address encoder as its stage left it."""
        state = torch.load(self.runs / "address" / "address.pt", weights_only=True)["state"]
        found = AddressEncoder(self.sentence_encoder(), Sketch(state["idf"]))
        address.load(found, state)
        return found


def train_address(setup: Setup, steps: int) -> None:
    encoder, cases = setup.sentence_encoder(), held_out.paraphrases(setup.data)
    address.train(encoder, setup.data, setup.texts(), cases, setup.runs / "address",
                  setup.plan(steps))  # fmt: skip


def train_codec(setup: Setup, steps: int) -> None:
    readouts = Readouts(
        Relations(setup.data), setup.addresses(), setup.tokenizer, setup.tokens - 1, setup.seed
    )
    texts = held_out.texts(setup.data, setup.tokenizer, setup.tokens)
    codec.train(setup.codec(), setup.texts(), readouts, texts, setup.runs / "codec",
                setup.plan(steps))  # fmt: skip


def train_adapter(setup: Setup, steps: int) -> None:
    setup.base.model.to(setup.hardware.device)
    rows = adapter.Rows(setup.data, setup.base, setup.tokens, setup.seed)
    adapter.train(setup.base, rows, held_out.asks(setup.data), setup.runs / "adapter",
                  setup.plan(steps))  # fmt: skip


def train_scope(setup: Setup, steps: int) -> None:
    gate = ScopeGate(setup.sentence_encoder())
    gate.to(setup.hardware.device)
    make = partial(episodes, replace(setup))  # workers get no decoder
    scope.train(gate, make, checks(setup), setup.runs / "scope", setup.plan(steps))


def episodes(setup: Setup, seed: int) -> Episodes:
    """What the gate learns from, under the addresses of their stage."""
    return Episodes(setup.data, setup.addresses(), seed)


def checks(setup: Setup) -> list[Sample]:
    """Reads that the gate is calibrated on, and measured."""
    return held_out_samples(setup.addresses(), held_out.gate(setup.data).values())


STAGES: dict[str, Callable[[Setup, int], None]] = {
    "address": train_address,
    "codec": train_codec,
    "adapter": train_adapter,
    "scope": train_scope,
}


def run(setup: Setup, steps: dict[str, int], out: Path, thresholds: tuple[float, float]) -> None:
    """The stages in `steps`, in order; a checkpoint in `out` once every stage has left its part."""
    torch.manual_seed(setup.seed)
    if setup.start:
        begin(setup.start, setup.runs)
    for name in STAGES:
        if name in steps:
            STAGES[name](setup, steps[name])
    if all((setup.runs / name / f"{name}.pt").exists() for name in STAGES):
        names = {"decoder": setup.decoder, "encoder": setup.encoder}
        assemble(setup.runs, out, setup.base, setup.sentence_encoder(), names, thresholds,
                 setup.seed)  # fmt: skip
