"""The adapter that ships, loaded by PEFT."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from torch.testing import assert_close
from transformers import LlamaConfig, LlamaForCausalLM

from service.model import lora
from service.model.checkpoint import DEFAULT, FILES, Checkpoint, peft_config


def test_what_ships_says_what_a_new_one_would() -> None:
    shipped, file = Checkpoint(DEFAULT), DEFAULT / "adapter" / "adapter_config.json"
    assert json.loads(file.read_text()) == peft_config(shipped.card, shipped.tensors(FILES[1]))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks for it
def test_peft_gives_the_logits_that_we_do() -> None:
    """Under random base weights of the shipped decoder's shape."""
    shipped, gate = Checkpoint(DEFAULT), lora.Gate()
    config = LlamaConfig(vocab_size=64, hidden_size=576, intermediate_size=1536,
                         num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                         tie_word_embeddings=True)  # fmt: skip
    torch.manual_seed(0)
    ours, theirs = LlamaForCausalLM(config).eval(), LlamaForCausalLM(config).eval()
    theirs.load_state_dict(ours.state_dict())
    ids = torch.arange(12)[None]
    sizes = shipped.card["adapter"]
    layout = lora.AdapterConfig(sizes["rank"], sizes["alpha"], sizes["first_block"])
    with torch.inference_mode():
        plain = ours(ids).logits
        lora.load(dict(lora.wrap(ours, layout, gate)), shipped.tensors(FILES[1]))
        gate.rows = torch.ones(1, 1, 1)
        adapted = ours(ids).logits
        peft = PeftModel.from_pretrained(theirs, DEFAULT / "adapter")
        assert_close(peft(ids).logits, adapted, rtol=1e-3, atol=1e-4)
    assert (adapted - plain).abs().max() > 0.01
