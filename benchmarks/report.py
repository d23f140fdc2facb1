"""Results as files: what was measured, of which revision, when, by which command, on what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent


def stamp(device: str = "cpu") -> dict[str, Any]:
    """What a result file says of its own making; `device` is a name of PyTorch's."""
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.strip()  # fmt: skip
    made = {
        "command": " ".join(["python", "-m", _module(), *_arguments()]),
        "revision": revision,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cores": os.cpu_count(),
        "load average": round(os.getloadavg()[0], 1),
    }
    return made if device == "cpu" else made | {"device": torch.cuda.get_device_name(device)}


def write_results(name: str, results: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Print, and keep as benchmarks/results/<name>.json, on a GPU <name>_cuda.json; the lines that
    were added."""
    made = stamp(device)
    name = name if device == "cpu" else f"{name}_cuda"
    text = json.dumps(made | dict(results), indent=2, ensure_ascii=False)
    print(text)
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    return made


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else Path(sys.argv[0]).name


def _arguments() -> list[str]:
    """Paths, which are this machine's, in capital letters."""
    return [Path(arg).name.upper() if "/" in arg else arg for arg in sys.argv[1:]]
