"""A long text as chunks that one latent each can hold: sentences, or overlapping parts of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import sentencex

from service.engine.protocol import Engine

OVERLAP = 8  # words that two parts of one sentence share
LANGUAGE = "en"
WINDOW = 10_000  # characters; sentencex takes quadratic time where sentences end in "。"


async def split(text: str, engine: Engine) -> list[str]:
    """The chunks of a text, in order; the same text always gives the same ones."""
    found = await asyncio.to_thread(list, sentences(text))
    chunks = [chunk for sentence in found if (chunk := sentence.strip())]
    while long := set(await engine.too_long(chunks)):
        chunks = [
            part
            for i, chunk in enumerate(chunks)
            for part in (halves(chunk) if i in long else (chunk,))
        ]
    return chunks


def sentences(text: str) -> Iterator[str]:
    """All of the text, a window at a time; what a window cuts off begins the next one."""
    start = 0
    while start < len(text):
        found = list(sentencex.segment(LANGUAGE, text[start : start + WINDOW]))
        if start + WINDOW < len(text) and len(found) > 1:
            found.pop()
        yield from found
        start += sum(map(len, found))


def halves(chunk: str) -> tuple[str, str]:
    """Two shorter parts that share some words where they meet."""
    words = chunk.split()
    if len(words) < 2:
        middle = len(chunk) // 2
        return chunk[:middle], chunk[middle:]
    middle = len(words) // 2
    shared = min(OVERLAP // 2, (len(words) - 1) // 4)
    return " ".join(words[: middle + shared]), " ".join(words[middle - shared :])
