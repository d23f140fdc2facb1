"""The drawings of the concept pages. What they show in numbers is computed by the memory itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs_build.svg import Sheet
from memory_store.reference import read
from memory_store.store import ReadParams

FOLDER = Path(__file__).parent.parent / "docs" / "images"


def drawings() -> dict[Path, str]:
    """File → SVG."""
    return {FOLDER / f"{s.name}.svg": s.svg() for s in (fact(), address(), forgetting())}


def fact() -> Sheet:
    """How a fact lives."""
    s = Sheet("fact", "A fact is written, read, and used or left alone", 960, 520)
    s.text(20, 30, "write", "bold", "start")
    s.box(20, 48, 190, 56, "cue", "“The capital of France is”")
    s.box(20, 124, 190, 56, "fact", "“… is Lyon”")
    s.box(270, 48, 160, 56, "address encoder", "meaning + words")
    s.box(270, 124, 160, 56, "codec, encoder half", "32 tokens → one vector")
    s.arrow((210, 76), (270, 76))
    s.arrow((210, 152), (270, 152))
    s.arrow((430, 76), (560, 76), colour="a", label="address a")
    s.arrow((430, 152), (560, 152), colour="b", label="latent z")
    _rows(s, 560, 48)
    s.box(810, 72, 130, 84, "Redis", "the only truth", colour="c")
    s.arrow((760, 114), (810, 114), colour="c", label="row")
    s.text(660, 202, "the tenant's memory: a row a fact", "small")
    s.text(20, 256, "read", "bold", "start")
    s.box(20, 274, 190, 56, "prompt", "“France has as its capital”")
    s.box(270, 274, 160, 56, "address encoder", "the same")
    s.box(500, 264, 190, 76, "least squares", "weights of the best rows", "z_r = w M, variance v")
    s.box(760, 264, 180, 76, "scope gate", "does the prompt ask", "for what was read?", colour="a")
    s.arrow((210, 302), (270, 302))
    s.arrow((430, 302), (500, 302), colour="a", label="q")
    s.arrow((600, 212), (600, 264), colour="b")
    s.arrow((690, 302), (760, 302), colour="b", label="z_r, v")
    s.text(20, 400, "generate", "bold", "start")
    s.box(560, 380, 180, 56, "codec, decoder half", "z_r → memory tokens", colour="b")
    s.box(270, 380, 220, 56, "decoder, adapter on", "memory tokens, then the prompt")
    s.box(270, 452, 220, 56, "decoder, untouched", "the prompt alone")
    s.box(20, 418, 190, 56, "text")
    s.arrow((850, 340), (850, 408), (740, 408), colour="a")
    s.text(862, 380, "in scope", "small", "start")
    s.arrow((920, 340), (920, 480), (490, 480))
    s.text(910, 498, "out of scope", "small", "end")
    s.arrow((560, 408), (490, 408), colour="b")
    s.arrow((270, 408), (210, 434))
    s.arrow((270, 480), (210, 458))
    return s


def _rows(s: Sheet, x: float, y: float, used: tuple[int, ...] = (0, 1, 3, 4)) -> None:
    """A page of rows: an address beside its latent, free slots empty."""
    for i in range(6):
        top = y + 23 * i
        s.parts.append(
            f'<rect x="{x:g}" y="{top:g}" width="200" height="20" rx="3" fill="var(--paper)" '
            f'stroke="var(--line)"/>'
        )
        if i in used:
            s.bar(x + 4, top + 4, 62, 12, "a")
            s.bar(x + 72, top + 4, 124, 12, "b")


ANGLES = (10, 38, 58, 78, 110, 150)  # degrees of six addresses on a circle
QUERY = 64


def address() -> Sheet:
    """How an address is solved: six addresses in the plane, one query."""
    params = ReadParams()
    keys, query = _unit(ANGLES), _unit((QUERY,))[0]
    latents = np.eye(len(ANGLES))
    _, variance, rows, weights = read(query, keys, latents, np.arange(len(ANGLES)), params)
    solved = dict(zip(rows.tolist(), weights.tolist(), strict=True))
    kernel = np.exp(params.beta * (keys @ query - 1))
    average = kernel / kernel.sum()
    s = Sheet("address", "Six addresses on a circle, a query, and its weights", 960, 380)
    _circle(s, keys, query)
    s.text(390, 40, "row", "bold")
    for x, head in ((430, "κ(q, u)"), (620, "kernel average"), (800, "least squares w")):
        s.text(x, 40, head, "bold", "start")
    for i in range(len(ANGLES)):
        y = 62 + 44 * i
        s.text(390, y + 14, f"u{i + 1}")
        for x, value, colour in (
            (430, kernel[i], "line"), (620, average[i], "a"), (800, solved[i], "b"),
        ):  # fmt: skip
            zero = x + (20 if x == 800 else 0)
            s.bar(min(zero, zero + 70 * value), y, abs(70 * value), 18, colour)
            s.text(x + 100, y + 14, f"{value:.2f}", "mono", "start")
    s.text(430, 352, f"The query stands {QUERY - ANGLES[2]}° from u3 and {ANGLES[3] - QUERY}° from "
           f"u4; posterior variance v = {variance:.2g}.", "small", "start")  # fmt: skip
    return s


def _unit(degrees: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def _circle(
    s: Sheet, keys: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    query: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:  # fmt: skip
    x, y, radius = 175, 260, 140
    s.parts.append(
        f'<path d="M{x - radius} {y} A{radius} {radius} 0 0 1 {x + radius} {y}" fill="none" '
        f'stroke="var(--line)"/>'
    )
    for i, key in enumerate(keys):
        s.line(x, y, x + radius * key[0], y - radius * key[1])
        s.dot(x + radius * key[0], y - radius * key[1])
        s.text(x + 162 * key[0], y - 162 * key[1] + 5, f"u{i + 1}")
    s.line(x, y, x + radius * query[0], y - radius * query[1], "b", 2)
    s.dot(x + radius * query[0], y - radius * query[1], "b", 6)
    s.text(x + 162 * query[0], y - 162 * query[1] + 5, "q", "bold")
    s.text(x, 300, "addresses are unit vectors:", "small")
    s.text(x, 318, "nearness is the cosine of their angle", "small")


def forgetting() -> Sheet:
    """Why a forget is exact."""
    s = Sheet("forgetting", "Two histories with the same survivors are one set of rows", 960, 400)
    for y, title, steps, slots in (
        (20, "history 1", "write A, B, C, D · forget C", ("A", "B", "", "D", "", "")),
        (210, "history 2", "write D, A, B", ("D", "A", "B", "", "", "")),
    ):  # fmt: skip
        s.text(20, y + 18, title, "bold", "start")
        s.text(20, y + 40, steps, "small", "start")
        for i, name in enumerate(slots):
            top = y + 52 + 17 * i
            s.parts.append(
                f'<rect x="20" y="{top}" width="190" height="15" rx="3" fill="var(--paper)" '
                f'stroke="var(--line)"/>'
            )
            if name:
                s.bar(24, top + 3, 40, 9, "a")
                s.bar(68, top + 3, 138, 9, "b")
                s.text(222, top + 12, name, "mono", "start")
    s.text(222, 20 + 52 + 17 * 2 + 12, "zeros", "small", "start")
    s.box(300, 150, 160, 84, "the same set", "{ A, B, D }", "of stored bytes", colour="c")
    s.arrow((262, 110), (330, 150), colour="c")
    s.arrow((262, 290), (330, 234), colour="c")
    s.box(510, 150, 180, 84, "the 64 best rows", "exact scores; ties by", "the address's bytes")
    s.box(
        740,
        150,
        200,
        84,
        "one float64 solve",
        "w, z_r, v: to the bit the",
        "same in both",
        colour="b",
    )
    s.arrow((460, 192), (510, 192))
    s.arrow((690, 192), (740, 192))
    s.arrow((600, 60), (600, 150), colour="a")
    s.text(600, 50, "any query q, rephrasings included", "small")
    s.text(720, 300, "Slots, pages, the order of writing and past forgets", "small")
    s.text(720, 318, "are not among the arguments of a read.", "small")
    return s
