"""The structures of step.c, filled from a decoder's weights and adapter."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from service.engine.native.library import library
from service.engine.native.packing import pack
from service.model.decoder import Decoder
from service.model.lora import GatedLoRA

Pointer, Int = ctypes.c_void_p, ctypes.c_int64


class _Adapter(ctypes.Structure):
    _fields_ = [("a", Pointer), ("b", Pointer), ("rank", Int), ("begin", Int), ("n", Int)]


class _Linear(ctypes.Structure):
    _fields_ = [("w", Pointer), ("n", Int), ("k", Int), ("bits", Int), ("adapters", Int),
                ("add", _Adapter * 3)]  # fmt: skip


class _Layer(ctypes.Structure):
    _fields_ = [("norm1", Pointer), ("norm2", Pointer), ("qkv", _Linear), ("out", _Linear),
                ("up", _Linear), ("down", _Linear)]  # fmt: skip


class _Model(ctypes.Structure):
    _fields_ = [*((name, Int) for name in ("layers", "width", "heads", "shared", "size", "hidden")),
                ("eps", ctypes.c_float), ("cos", Pointer), ("sin", Pointer), ("norm", Pointer),
                ("layer", ctypes.POINTER(_Layer)), ("head", _Linear)]  # fmt: skip


class Tokens(ctypes.Structure):
    """The tokens of a step: slot, position and gate of each, and where slots keep their cache."""

    _fields_ = [("row", Pointer), ("at", Pointer), ("table", Pointer), ("gate", Pointer),
                ("cache", Pointer), ("pages", Int), ("longest", Int)]  # fmt: skip


@lru_cache(maxsize=1)
def weights_of(decoder: Decoder) -> NativeWeights:
    """The decoder's weights as they are at the first call, packed once."""
    return NativeWeights(decoder)


class NativeWeights:
    """What does not change from step to step."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self._library = decoder, library()
        self._kept: list[Tensor] = []
        self.scale = decoder.config.alpha / decoder.config.rank  # the gate of an adapted row
        config = decoder.model.config
        self._wide = max(
            (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim,
            2 * config.intermediate_size,
        )
        self._model = self._structure(config)

    def forward(self, tokens: Tokens, x: Tensor) -> None:
        """x (n, d): embeddings in, last hidden states out."""
        work = torch.empty(len(x), x.shape[1] + 2 * self._wide)
        self._call("forward", ctypes.byref(tokens), Int(len(x)), x, work)

    def logits(self, hidden: Tensor) -> Tensor:
        """(n, d) → (n, V)."""
        hidden, out = hidden.contiguous(), torch.empty(len(hidden), self._model.head.n)
        if len(hidden):
            self._call("logits", Int(len(hidden)), hidden, out)
        return out

    def _call(self, name: str, *arguments: Any) -> None:
        plain = [Pointer(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments]
        getattr(self._library, name)(ctypes.byref(self._model), *plain)

    @torch.no_grad()
    def _structure(self, config: Any) -> _Model:
        body, layers = self._decoder.model.model, (_Layer * config.num_hidden_layers)()
        for i, block in enumerate(body.layers):
            attention, mlp = block.self_attn, block.mlp
            layers[i] = _Layer(
                self._keep(block.input_layernorm.weight),
                self._keep(block.post_attention_layernorm.weight),
                self._linear(attention.q_proj, attention.k_proj, attention.v_proj),
                self._linear(attention.o_proj),
                self._linear(mlp.gate_proj, mlp.up_proj),
                self._linear(mlp.down_proj),
            )
        cosine, sine = self._rotary(body.rotary_emb)
        sizes = (len(layers), config.hidden_size, config.num_attention_heads,
                 config.num_key_value_heads, config.head_dim, config.intermediate_size)  # fmt: skip
        head = self._linear(self._decoder.model.get_output_embeddings())
        norm = self._keep(body.norm.weight)
        return _Model(*sizes, config.rms_norm_eps, cosine, sine, norm, layers, head)

    def _rotary(self, rotary: nn.Module) -> tuple[int, int]:
        """cos and sin, each (context, size / 2)."""
        positions = torch.arange(self._decoder.context)[None]
        cosine, sine = rotary(torch.zeros(1), positions)
        half = cosine.shape[-1] // 2
        return self._keep(cosine[0, :, :half]), self._keep(sine[0, :, :half])

    def _keep(self, tensor: Tensor) -> int:
        """The address of a tensor that is kept for as long as this object."""
        self._kept.append(tensor.detach().contiguous())
        return int(self._kept[-1].data_ptr())

    def _linear(self, *modules: nn.Module) -> _Linear:
        """Maps of one input, as one."""
        adapters = (_Adapter * 3)()
        weights: list[Tensor] = []
        begin = count = 0
        for module in modules:
            weight = cast(Tensor, module.base.weight if isinstance(module, GatedLoRA)
                          else module.weight)  # fmt: skip
            if isinstance(module, GatedLoRA):
                a, b = module.lora_A.weight.half(), module.lora_B.weight.T.half()
                adapters[count] = _Adapter(self._keep(a), self._keep(b), len(a), begin, b.shape[1])
                count += 1
            weights.append(weight)
            begin += len(weight)
        whole = pack(torch.cat(weights) if len(weights) > 1 else weights[0])
        return _Linear(self._keep(whole.data), whole.rows, whole.columns, whole.bits, count,
                       adapters)  # fmt: skip
