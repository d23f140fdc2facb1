"""The composed model: facts → (address, latent); query and memory → memory tokens, or nothing.

Knows no queue and no HTTP; every call is a batch. Generation itself is engine/decoding.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from memory_store.kernel import TenantView, read_many
from memory_store.store import MemorySpec, Readout
from service.model import lora
from service.model.address import AddressEncoder, Sketch
from service.model.checkpoint import DEFAULT, Checkpoint
from service.model.codec import Codec, CodecConfig
from service.model.decoder import Decoder
from service.model.encoder import SentenceEncoder
from service.model.scope import CUE, ScopeGate, features, units
from service.model.weights import decoder_path, encoder_path


@dataclass(frozen=True, slots=True)
class Reading:
    """What memory says to one query. `tokens` condition the decoder where in scope."""

    in_scope: bool = False
    confidence: float = 0.0
    tokens: tuple[int, ...] = ()
    text: str = ""  # the readout, decoded from the latent
    ids: tuple[str, ...] = ()  # rows by weight, the best first
    weights: tuple[float, ...] = ()
    similarities: tuple[float, ...] = ()  # cosines of the query and those rows
    suppressed: bool = False  # the best row says that the model shall not say what it knows


def fact_text(prompt: str | None, target: str | None, text: str | None) -> str:
    """The text that the codec holds."""
    if text is not None:
        return text
    assert prompt is not None
    assert target is not None
    return prompt + (target if prompt[-1:].isspace() or target[:1].isspace() else f" {target}")


class LarimarModel:
    """Address encoder, codec, scope gate and decoder under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, decoder: Decoder, encoder: str) -> None:
        card = checkpoint.card
        self.card, self.decoder = card, decoder
        checkpoint.check_base("decoder", decoder.embedding)
        lora.load(decoder.adapters, checkpoint.tensors("adapter/adapter_model.safetensors"))
        self.codec = Codec(CodecConfig(**card["codec"]), decoder.embedding, decoder.end).eval()
        self.codec.load_state_dict(checkpoint.tensors("codec.safetensors"))
        address = checkpoint.tensors("address.safetensors")
        sentence = SentenceEncoder(encoder)
        checkpoint.check_base("encoder", sentence.model.get_input_embeddings().weight)
        self.address = AddressEncoder(sentence, Sketch(address.pop("idf")))
        lora.load(sentence.adapters, address)
        gate = checkpoint.tensors("scope.safetensors")
        self.gate = ScopeGate(SentenceEncoder(encoder)).eval()
        delta = {k: v for k, v in gate.items() if k.startswith(lora.PREFIX)}
        lora.load(self.gate.encoder.adapters, delta)
        rest = {k: v for k, v in gate.items() if k not in delta}
        self.gate.load_state_dict(rest, strict=False)
        for module in (self.codec, self.gate, decoder.model, sentence.model):
            module.requires_grad_(False)
        self.threshold = float(card["scope"]["threshold"])
        self.suppressed_threshold = float(card["scope"].get("suppressed", self.threshold))
        self.spec = MemorySpec(self.address.dim, self.codec.config.latent, checkpoint.fingerprint())

    @staticmethod
    def load(
        folder: Path = DEFAULT,
        decoder: str | None = None,
        encoder: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
    ) -> LarimarModel:
        """`decoder` and `encoder` say where the base weights are, if not where the card does.

        `dtype` is the decoder's: `auto` is bfloat16 on a GPU, else float32; base and edited
        answers have the same.

        Raises CheckpointError or WeightsError.
        """
        checkpoint = Checkpoint(folder)
        card = checkpoint.card
        sizes = card["adapter"]
        adapter = lora.AdapterConfig(sizes["rank"], sizes["alpha"], sizes["first_block"])
        base = Decoder(decoder_path(decoder or card["decoder"]["name"]), adapter)
        model = LarimarModel(checkpoint, base, encoder_path(encoder or card["encoder"]["name"]))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "float32" if device == "cpu" else "bfloat16"
        return model.to(device, getattr(torch, dtype))

    def to(self, device: str, dtype: torch.dtype = torch.float32) -> LarimarModel:
        """Moves every part, the decoder in `dtype`; tokens, texts and rows stay with the caller.

        Encoders, codec and gate stay float32: stored addresses and latents come from them.
        """
        self.decoder.model.to(device, dtype)
        bodies = (self.address.encoder.model, self.gate.encoder.model)
        for module in (*bodies, self.codec, self.gate):
            module.to(device)
        return self

    @property
    def max_fact_tokens(self) -> int:
        return self.codec.config.max_tokens

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Indices of texts that one latent cannot hold."""
        return [i for i, n in enumerate(self.lengths(texts)) if n > self.max_fact_tokens]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Decoder tokens of facts; of a text far too long, only that it is."""
        return [len(t) if len(t) > 64 * self.max_fact_tokens else len(self.decoder.encode(t))
                for t in texts]  # fmt: skip

    @torch.inference_mode()
    def latents(self, texts: Sequence[str], batch: int = 64) -> torch.Tensor:
        """Fact texts → z (B, C); batches of similar length."""
        rows = [self.decoder.encode(text) for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = torch.empty(len(rows), self.codec.config.latent)
        for start in range(0, len(rows), batch):
            part = order[start : start + batch]
            out[part] = self.codec.encode(*self.codec.pad([rows[i] for i in part])).cpu()
        return out

    def read(
        self, queries: Sequence[str], views: Sequence[TenantView], always: Sequence[bool]
    ) -> list[Reading]:
        """One reading a query; the gate is not asked where `always` (a row must be read still)."""
        split = [units(query) for query in queries]
        owner = [i for i, parts in enumerate(split) for _ in parts]
        flat = [unit for parts in split for unit in parts]
        addresses = self.address.encode(flat).numpy()
        readouts = read_many(
            [views[i] for i in owner], [addresses[j : j + 1] for j in range(len(flat))]
        )
        answers = self._judge(flat, owner, readouts)
        best: list[Reading] = [Reading() for _ in queries]
        for i, answer in zip(owner, answers, strict=True):
            if answer.ids and (not best[i].ids or answer.confidence > best[i].confidence):
                best[i] = answer
        return [dataclasses.replace(reading, in_scope=bool(reading.tokens) and
                                    (force or self._opens(reading)))
                for reading, force in zip(best, always, strict=True)]  # fmt: skip

    def _opens(self, reading: Reading) -> bool:
        """Facts and suppressions have thresholds of their own."""
        least = self.suppressed_threshold if reading.suppressed else self.threshold
        return reading.confidence >= least

    def _judge(
        self, units: Sequence[str], owner: Sequence[int], readouts: Sequence[Readout]
    ) -> list[Reading]:
        """Reads the latents back and asks the gate about each unit.

        Units of one prompt that read the same row first read the same latent.
        """
        # a latent of zero has no direction: there is nothing to decode
        found = [i for i, r in enumerate(readouts) if r.ids[0] and r.clean.any()]
        row = {i: (owner[i], readouts[i].ids[0][0]) for i in found}
        one = {row[i]: readouts[i] for i in found}
        tokens = dict(zip(one, self._decode(list(one.values())), strict=True))
        texts = {key: self.decoder.decode(ids) for key, ids in tokens.items()}
        match = [features(readouts[i], 0, units[i], texts[row[i]], self.address.sketch)
                 for i in found]  # fmt: skip
        facts = [texts[row[i]] for i in found]
        confidence = self.gate.probability([units[i] for i in found], facts, torch.tensor(match))
        out = [Reading() for _ in units]
        for i, p in zip(found, confidence, strict=True):
            read = readouts[i]
            out[i] = Reading(
                confidence=1.0 if read.cosines[0][0] >= CUE else p,
                tokens=tuple(tokens[row[i]]),
                text=texts[row[i]],
                ids=read.ids[0],
                weights=tuple(float(w) for w in read.weights[0]),
                similarities=tuple(float(c) for c in read.cosines[0]),
                suppressed=read.suppressed[0],
            )
        return out

    @torch.inference_mode()
    def _decode(self, readouts: Sequence[Readout], batch: int = 64) -> list[list[int]]:
        rows = [torch.from_numpy(readout.clean[0]) for readout in readouts]
        latents = torch.stack(rows).to(self.decoder.device) if rows else torch.zeros(0, 0)
        return [row for i in range(0, len(latents), batch)
                for row in self.codec.decode(latents[i : i + batch])]  # fmt: skip
