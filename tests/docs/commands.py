"""What can be said of commands that need a cluster, a container engine or hours.

Their syntax, that scripts and charts they name are there, that `larimar` has the verbs and
options, that the chart renders with what is set, that the Dockerfile takes the arguments.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import helm_python
import typer
import yaml

from cli.main import app

ROOT = Path(__file__).parents[2]
INSTALLED = {"valkey": {"enabled": True}}  # values of a release that is there already
PLACEHOLDER = {"HOST": "redis", "PASSWORD": "secret", "REGISTRY": "registry.example"}


def check(script: str) -> None:
    """Raises AssertionError for a command that cannot be right."""
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]  # variables of one command
        match words:
            case ["larimar", *rest]:
                check_larimar(rest)
            case ["helm", "install" | "upgrade" | "template", _, chart, *rest]:
                check_chart(chart, rest)
            case ["kubectl", "exec", _, "--", "larimar", *rest]:
                check_larimar(rest)
            case ["docker", "build", *rest]:
                check_image(rest)
            case ["docker", "compose", "-f", file, *_]:
                assert yaml.safe_load((ROOT / file).read_text("utf-8"))["services"]
            case ["python", "-m", module, *_]:
                assert find_spec(module), module
            case [first, *_] if first.startswith("scripts/"):
                assert (ROOT / first).is_file(), first


def check_larimar(words: list[str]) -> None:
    """The verb exists, and its options."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "get_command") and words:
        found = command.get_command(None, words[0])
        assert found, f"larimar has no {words[0]}"
        command, words = found, words[1:]
    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert asked <= options | {"--help"}, asked - options


def check_chart(chart: str, words: list[str]) -> None:
    """The chart renders with the values that `--set` and `-f` give."""
    values: dict[str, Any] = dict(INSTALLED) if "--reuse-values" in words else {}
    for flag, value in pairwise(words):
        if flag == "--set":
            _set(values, *value.split("=", 1))
        elif flag in ("-f", "--values") and (ROOT / value).is_file():
            values |= yaml.safe_load((ROOT / value).read_text("utf-8"))
    _render(ROOT / chart, values)


def check_values(text: str) -> None:
    """The chart takes these values."""
    _render(ROOT / "helm/larimar", INSTALLED | yaml.safe_load(text))


def _render(chart: Path, values: dict[str, Any]) -> None:
    with helm_python.Chart.load(str(chart)) as loaded:
        assert loaded.render(values, name="docs", namespace="docs")


def _set(values: dict[str, Any], key: str, text: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    for name, real in PLACEHOLDER.items():
        text = text.replace(name, real)
    values[last] = yaml.safe_load(text)


def check_image(words: list[str]) -> None:
    known = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    given = {value.partition("=")[0] for flag, value in pairwise(words)
             if flag == "--build-arg"}  # fmt: skip
    assert given <= known, given - known
