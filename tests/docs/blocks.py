"""The code blocks of a page, run in order: one shell and one Python namespace a page.

    ```bash, ```python                   run; a status other than 0 or an exception fails the page
    <!-- not run: WHY --> before one     cannot be run here; commands.py checks it instead
    ```TEXT title="output"               what the block before it printed
    ```TEXT title="output of the model"  the same; compared where the real model answers
    ```json                              must be JSON
    ```yaml                              values of the chart, which must render with them

A block of another language fails: nobody would notice when it rots. In an output `…` stands for
anything, and white space does not count. The address and the data folder that the documentation
uses are those of the test's service.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from tests.docs.commands import check, check_values

MARK = re.compile(r"<!-- not run: [^\n]+ -->\s*\Z")
OUTPUT = re.compile(r'\w+ title="output(?P<model> of the model)?"')
LANGUAGES = ("bash", "python", "json", "yaml")
DONE = "-- block is done --"
SECONDS = 300  # a block that hangs, not one that is slow
# What replies with an error must not pass for success; and no Python package brings `valkey-cli`:
# here is what it does with `-s SOCKET COMMAND...`.
PRELUDE = """
curl() { command curl --fail-with-body --silent --show-error "$@"; }
valkey-cli() { [ "$1" = -s ]; python -c '
import sys, redis
print(redis.Redis(unix_socket_path=sys.argv[2]).execute_command(*sys.argv[3:]))' "$@"; }
"""
_fences = FencedCodeBlockLexer(r"[^\n`]+", {"language": "language", "source": "source"})


class Shell:
    """A bash that keeps its variables from block to block, and ends at the first failure."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._errors = folder / "stderr"
        with self._errors.open("w") as errors:
            self._bash = subprocess.Popen(
                ["bash", "-euo", "pipefail"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                cwd=folder, env=environment, text=True,
            )  # fmt: skip
        self.run(PRELUDE)

    def run(self, script: str) -> str:
        """What it printed. Raises AssertionError."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        timer = Timer(SECONDS, self._bash.kill)
        timer.start()
        lines: list[str] = []
        try:
            self._bash.stdin.write(f"{{\n{script}\n}} </dev/null\nprintf '\\n%s\\n' '{DONE}'\n")
            self._bash.stdin.flush()
            for line in self._bash.stdout:
                if line.strip() == DONE:
                    return "".join(lines)
                lines.append(line)
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        raise AssertionError(f"{script}\n{''.join(lines)}{self._errors.read_text()}")

    def close(self) -> None:
        self._bash.kill()
        self._bash.communicate()


@dataclass
class Runner:
    """Runs the blocks of one page."""

    shell: Shell
    names: Mapping[str, str]  # of the documentation → of the test
    real: bool
    printed: str = ""

    def parser(self, document: Document) -> Iterable[Region]:
        for region in _fences(document):
            language = region.lexemes["language"].strip()
            region.parsed = region.lexemes["source"]
            if MARK.search(document.text[: region.start]):
                region.evaluator = self.checked
            elif found := OUTPUT.fullmatch(language):
                region.evaluator = self.compared if self.real or not found["model"] else None
            else:
                region.evaluator = getattr(self, language if language in LANGUAGES else "unknown")
            if region.evaluator:
                yield region

    def bash(self, example: Example) -> None:
        self.printed = self.shell.run(example.parsed)

    def python(self, example: Example) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            PythonEvaluator()(example)
        self.printed = out.getvalue()

    def json(self, example: Example) -> None:
        json.loads(example.parsed)

    def yaml(self, example: Example) -> None:
        check_values(str(example.parsed))

    def unknown(self, example: Example) -> None:
        raise AssertionError(f"{example.path}:{example.line}: nothing runs such a block")

    def checked(self, example: Example) -> None:
        check(str(example.parsed))

    def compared(self, example: Example) -> None:
        wanted = ".*".join(map(re.escape, "".join(str(example.parsed).split()).split("…")))
        holds = re.fullmatch(wanted, "".join(self.printed.split()), re.DOTALL)
        place = f"{example.path}:{example.line}"
        assert holds, f"{place} shows\n{example.parsed}\nbut printed was\n{self.printed}"


def run(page: Path, runner: Runner) -> int:
    """Every block of a page; how many there were."""
    text = page.read_text("utf-8")
    for name, here in runner.names.items():
        text = text.replace(name, here)
    document = Document(text, str(page))
    for region in runner.parser(document):
        document.add(region)
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    return len(examples)
