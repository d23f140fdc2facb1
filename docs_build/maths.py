"""Equations as MathML, made when the site is built: no script, no font, nothing from elsewhere.

In the pages they are TeX between dollars, which a forge shows too. A numbered one ends in
`\\tag{n}`.
"""

from __future__ import annotations

import re
from html import unescape

from latex2mathml.converter import convert

DISPLAY = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
TAG = re.compile(r"\\tag\{(\w+)\}")


def rendered(html: str) -> str:
    """The page with what `pymdownx.arithmatex` marked made into MathML."""
    html = DISPLAY.sub(lambda found: _display(unescape(found[1])), html)
    return INLINE.sub(lambda found: convert(unescape(found[1]).strip()), html)


def _display(tex: str) -> str:
    tag = TAG.search(tex)
    maths = convert(TAG.sub("", tex).strip(), display="block")
    number = f'<span class="number">({tag[1]})</span>' if tag else ""
    anchor = f' id="eq-{tag[1]}"' if tag else ""
    return f'<div class="equation"{anchor}>{maths}{number}</div>'
