"""A sheet of SVG that looks right in light and dark, alone and inside a page.

Colours are variables: alone, the picture follows the reader's system; inside a page of the site
it follows the page (docs/assets/site.css sets the same variables there).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import Literal

STYLE = """
  .drawing { --ink: #1f2430; --soft: #6b7280; --line: #9aa1ad; --fill: #f3f5f9; --paper: #fff;
             --a: #3f51b5; --b: #c2410c; --c: #0f766e; }
  @media (prefers-color-scheme: dark) {
    .drawing { --ink: #e6e8ee; --soft: #a2a9b8; --line: #6d7585; --fill: #262b38; --paper: #1b1f2a;
               --a: #93a4ff; --b: #fb923c; --c: #2dd4bf; } }
  .drawing text { font: 14px system-ui, sans-serif; fill: var(--ink); }
  .drawing .small { font-size: 12px; fill: var(--soft); }
  .drawing .bold { font-weight: 600; }
  .drawing .mono { font-family: ui-monospace, monospace; font-size: 13px; }
"""
Anchor = Literal["start", "middle", "end"]


@dataclass
class Sheet:
    """Shapes are drawn in the order of the calls. Coordinates are pixels of a page `width` wide."""

    name: str  # of the file, and the prefix of ids inside it
    title: str  # what a screen reader says
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, w: float, h: float, *lines: str, colour: str = "") -> None:
        """A box with lines of text in its middle, the first bold where there are more."""
        stroke = f"var(--{colour or 'line'})"
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" fill="var(--fill)" '
            f'stroke="{stroke}" stroke-width="{1.8 if colour else 1.2}"/>'
        )
        top = y + h / 2 - 9 * (len(lines) - 1) + 5
        for i, line in enumerate(lines):
            self.text(x + w / 2, top + 18 * i, line, "small" if i else "bold")

    def text(
        self, x: float, y: float, words: str, kind: str = "", anchor: Anchor = "middle"
    ) -> None:
        place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
        self.parts.append(f'<text {place} class="{kind}">{escape(words)}</text>')

    def arrow(self, *points: tuple[float, float], colour: str = "line", label: str = "") -> None:
        """A line through the points with a head at its end."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(
            f'<path d="M{path}" fill="none" stroke="var(--{colour})" stroke-width="1.6" '
            f'marker-end="url(#{self.name}-{colour})"/>'
        )
        if label:
            (x0, y0), (x1, y1) = points[0], points[1]
            self.text((x0 + x1) / 2, (y0 + y1) / 2 - 7, label, "small")

    def line(
        self, x0: float, y0: float, x1: float, y1: float, colour: str = "line", width: float = 1.2
    ) -> None:
        self.parts.append(
            f'<line x1="{x0:.4g}" y1="{y0:.4g}" x2="{x1:.4g}" y2="{y1:.4g}" '
            f'stroke="var(--{colour})" stroke-width="{width:.3g}"/>'
        )

    def dot(self, x: float, y: float, colour: str = "a", radius: float = 5) -> None:
        self.parts.append(
            f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}" fill="var(--{colour})"/>'
        )

    def bar(self, x: float, y: float, w: float, h: float, colour: str = "a") -> None:
        self.parts.append(
            f'<rect x="{x:.4g}" y="{y:.4g}" width="{max(w, 0):.4g}" height="{h:g}" rx="2" '
            f'fill="var(--{colour})"/>'
        )

    def svg(self) -> str:
        """The file."""
        return self._svg(f"<style>{STYLE}</style>\n")

    def inline(self) -> str:
        """For a page of the site, whose style sheet sets the colours."""
        return inlined(self._svg(""))

    def _svg(self, style: str) -> str:
        heads = "".join(
            f'<marker id="{self.name}-{c}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="var(--{c})"/></marker>'
            for c in ("line", "a", "b", "c")
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" '
            f'aria-label="{escape(self.title)}" viewBox="0 0 {self.width} {self.height}">\n'
            f"<title>{escape(self.title)}</title>\n{style}"
            f"<defs>{heads}</defs>\n" + "\n".join(self.parts) + "\n</svg>\n"
        )


def inlined(svg: str) -> str:
    """The file's text as a figure of a page: without its style, on one line for Markdown."""
    bare = re.sub("<style>.*?</style>", "", svg, flags=re.DOTALL).replace("\n", "")
    return f'<figure class="drawn">{bare}</figure>\n'
