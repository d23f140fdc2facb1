"""Rows of a running engine, and whose they are."""

from __future__ import annotations

import dataclasses

from memory_store.view import View
from service.engine.batcher import Larimar
from service.engine.protocol import Generated, GenerateItem, Token

PROMPT = "The capital of France is"


async def said(engine: Larimar, *items: GenerateItem) -> list[Generated]:
    events = [event async for event in engine.generate(items)]
    ends = sorted((e for e in events if isinstance(e, Generated)), key=lambda e: e.index)
    for end in ends:
        pieces = [e.text for e in events if isinstance(e, Token) and e.index == end.index]
        assert "".join(pieces) == end.text
    return ends


def named(memory: View, name: str) -> View:
    return dataclasses.replace(memory, info=dataclasses.replace(memory.info, name=name))
