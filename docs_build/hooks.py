"""What MkDocs calls while it builds the site (mkdocs.yml names this file).

`<!-- made: NAME -->` becomes what the code says, other Markdown of the repository becomes pages,
and navigation entries `folder/*` (or `*`) become the folder's pages that no other entry names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_build import (
    api,
    benchmarks,
    commands,
    comparison,
    configuration,
    decisions,
    errors,
    maths,
    metrics,
)
from docs_build.svg import inlined

ROOT = Path(__file__).parent.parent
IMAGE = re.compile(r'<img alt="[^"]*" src="(?:\.\./)*(images/[\w-]+\.svg)" ?/?>')


COPIES = {
    "reference/client.md": "clients/python/README.md",
    "project/log.md": "benchmarks/LOG.md",
    "project/recipe.md": "training/recipe.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/contributing.md": "CONTRIBUTING.md",
}
# what `<!-- made: NAME -->` on a page becomes
MADE: dict[str, Callable[[], str]] = {
    "api": api.page,
    "benchmarks": benchmarks.page,
    "commands": commands.page,
    "comparison": comparison.page,
    "configuration": configuration.page,
    "decisions": decisions.page,
    "errors": errors.page,
    "metrics": metrics.own,
    "process metrics": metrics.process,
}
MARK = re.compile(r"<!-- made: ([\w ]+) -->")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for uri, path in COPIES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text("utf-8")))
    config.nav = expanded(config.nav or [], sorted(file.src_uri for file in files))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return MARK.sub(lambda found: MADE[found[1]](), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Equations, and drawings inside the page so that they take its colours."""
    return IMAGE.sub(lambda found: _drawing(Path(config.docs_dir) / found[1]), maths.rendered(html))


def expanded(nav: list[Any], uris: list[str]) -> list[Any]:
    """The navigation with `folder/*` replaced by what else is in the folder."""
    named = set(_leaves(nav))

    def expand(entries: list[Any]) -> list[Any]:
        out: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                (title, value), *_ = entry.items()
                out.append({title: expand(value) if isinstance(value, list) else value})
            elif entry.endswith("*"):
                folder = entry[:-1].rstrip("/")
                out += [uri for uri in uris if uri not in named and uri.endswith(".md")
                        and uri.rpartition("/")[0] == folder]  # fmt: skip
            else:
                out.append(entry)
        return out

    return expand(nav)


def _leaves(nav: list[Any]) -> list[str]:
    leaves: list[str] = []
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        leaves += _leaves(value) if isinstance(value, list) else [value]
    return leaves


def _drawing(path: Path) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path}: `python -m docs_build` makes the drawings")
    return inlined(path.read_text("utf-8"))
