"""A long text as chunks that one latent each can hold: sentences, or overlapping parts of them."""

from __future__ import annotations

import sentencex

from service.engine.protocol import Engine

OVERLAP = 8  # words that two parts of one sentence share
LANGUAGE = "en"


async def split(text: str, engine: Engine) -> list[str]:
    """The chunks of a text, in order; the same text always gives the same ones."""
    chunks = [sentence.strip() for sentence in sentencex.segment(LANGUAGE, text)]
    chunks = [chunk for chunk in chunks if chunk]
    while long := set(await engine.too_long(chunks)):
        chunks = [
            part
            for i, chunk in enumerate(chunks)
            for part in (halves(chunk) if i in long else (chunk,))
        ]
    return chunks


def halves(chunk: str) -> tuple[str, str]:
    """Two shorter parts that share some words where they meet."""
    words = chunk.split()
    if len(words) < 2:
        middle = len(chunk) // 2
        return chunk[:middle], chunk[middle:]
    middle = len(words) // 2
    shared = min(OVERLAP // 2, (len(words) - 1) // 4)
    return " ".join(words[: middle + shared]), " ".join(words[middle - shared :])
