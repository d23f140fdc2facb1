"""The checkpoint: what training adds to the base weights, and the card that says where from.

A folder of safetensors in half precision beside `card.json`: codec, adapter (PEFT's LoRA layout,
usable without us), the address encoder's delta with its idf table, the scope gate. The
fingerprint covers every tensor and the base weights; rows in a memory carry it, since addresses
and latents mean nothing under another checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

DEFAULT = Path(__file__).parent / "checkpoints" / "smollm2-135m"
FILES = ("codec.safetensors", "adapter/adapter_model.safetensors", "address.safetensors",
         "scope.safetensors")  # fmt: skip
FORMAT = 3


class CheckpointError(Exception):
    """The checkpoint is unreadable, or was made for other base weights."""


def digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's float32 bytes; of an embedding table, it names the base weights."""
    array = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(array.tobytes()).hexdigest()


class Checkpoint:
    """A folder on disk, read lazily."""

    def __init__(self, folder: Path = DEFAULT) -> None:
        self.folder = folder
        try:
            self.card: dict[str, Any] = json.loads((folder / "card.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"no checkpoint in {folder}: {error}") from error
        if self.card.get("format") != FORMAT:
            raise CheckpointError(f"{folder}: format {self.card.get('format')}, not {FORMAT}")

    def tensors(self, file: str) -> dict[str, Tensor]:
        """The tensors of one of FILES in float32."""
        try:
            return {k: v.float() for k, v in load_file(self.folder / file).items()}
        except Exception as error:
            raise CheckpointError(f"{self.folder / file}: {error}") from error

    def fingerprint(self) -> str:
        """16 hex digits over the base weights and every tensor file."""
        sha = hashlib.sha256()
        sha.update(self.card["decoder"]["sha256"].encode())
        sha.update(self.card["encoder"]["sha256"].encode())
        for file in FILES:
            sha.update((self.folder / file).read_bytes())
        return sha.hexdigest()[:16]

    def check_base(self, part: str, table: Tensor) -> None:
        """Raises CheckpointError unless `table` is the embedding that training saw."""
        if digest(table) != self.card[part]["sha256"]:
            raise CheckpointError(
                f"the checkpoint was trained on {self.card[part]['name']}; "
                f"other {part} weights need `larimar train`"
            )


def peft_config(card: Mapping[str, Any], adapter: Iterable[str]) -> dict[str, Any]:
    """adapter_config.json of an adapter with these tensor names."""
    sizes = card["adapter"]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": sizes["rank"],
        "lora_alpha": sizes["alpha"],
        "target_modules": sorted({name.split(".")[-3] for name in adapter}),
        "layers_to_transform": list(range(sizes["first_block"], sizes["blocks"])),
        "fan_in_fan_out": sizes.get("fan_in_fan_out", False),
        "bias": "none",
        "base_model_name_or_path": card["decoder"]["name"],
    }


def save(folder: Path, card: Mapping[str, Any], parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Writes `parts` (by name in FILES) in half precision, and the card."""
    (folder / "adapter").mkdir(parents=True, exist_ok=True)
    for file in FILES:
        half = {k: v.detach().half().contiguous() for k, v in parts[file].items()}
        save_file(half, folder / file)
    config = json.dumps(peft_config(card, parts[FILES[1]]), indent=2)
    (folder / "adapter" / "adapter_config.json").write_text(config + "\n")
    text = json.dumps({"format": FORMAT, **card}, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", "utf-8")
