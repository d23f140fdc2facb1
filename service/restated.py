"""A sentence that states a stored fact anew replaces it: the same beginning, another object.

Looked at are facts given as `text` alone and without an id. One restates a stored fact if its
address lies near that fact's, both begin with the same words (so names and numbers before the
object agree) and differ in a short rest only, and the scope gate says that this beginning asks
for the stored fact. It then takes that fact's id, which makes the store replace it. Chunks of a
document are never replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memory_store.cue import default_id
from memory_store.store import Fact, TenantMemory
from memory_store.view import build_view
from service.engine.protocol import Engine
from service.resources import Service
from service.routes.common import current_memory
from service.routes.forget import records_of

NEAR = 0.45  # address cosine; only a sieve, for what is stored is read back and asked about
WORDS = 3  # of the common beginning, at least
REST = 8  # words after it, at most


def beginning(text: str, other: str) -> str | None:
    """What both say before their objects; None if they do not read as one fact said twice.

    Rests that share a word differ in more than the object: "agent 1 is 17" and "agent 2 is 18".
    """
    a, b = (sentence.rstrip(" .").split() for sentence in (text, other))
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
    rests = a[same:], b[same:]
    short = all(1 <= len(rest) <= REST for rest in rests)
    apart = not set(rests[0]) & set(rests[1])
    return " ".join(a[:same]) if same >= WORDS and short and apart else None


async def with_ids(
    service: Service, tenant: str, model: Engine, facts: Sequence[Fact]
) -> list[Fact]:
    """The facts, each with the id of what it restates, of this call or of the memory."""
    stated = [i for i, fact in enumerate(facts) if fact.text is not None and fact.id is None]
    out = list(facts)
    if not stated:
        return out
    memory = await current_memory(service, tenant)
    for i, id in (await _stored(model, memory, [facts[i] for i in stated])).items():
        out[stated[i]] = replace(out[stated[i]], id=id)
    records = await records_of(service, tenant, (f.id for f in out if f.id is not None))
    for i in stated:
        record = records.get(out[i].id or "")
        if record is not None and record.kind == "chunk":
            out[i] = facts[i]
    for i, j in await _within(model, [out[i] for i in stated]):
        first = out[stated[i]]
        out[stated[i]] = first = replace(first, id=first.id or default_id(first.cue))
        out[stated[j]] = replace(out[stated[j]], id=first.id)
    return out


async def _stored(model: Engine, memory: TenantMemory, facts: Sequence[Fact]) -> dict[int, str]:
    """Index of a fact → id of the stored one that it restates."""
    addresses = np.stack([fact.address for fact in facts])
    readout = await asyncio.to_thread(memory.read, addresses)
    near = [i for i, cosines in enumerate(readout.cosines) if len(cosines) and max(cosines) >= NEAR]
    old = await model.read(memory, [facts[i].text or "" for i in near]) if near else []
    starts = {i: start for i, row in zip(near, old, strict=True)
              if (start := beginning(facts[i].text or "", row.text))}  # fmt: skip
    asked = await model.read(memory, list(starts.values())) if starts else []
    return {i: row.matches[0].id for i, row in zip(starts, asked, strict=True) if row.in_scope}


async def _within(model: Engine, facts: Sequence[Fact]) -> list[tuple[int, int]]:
    """(earlier, later) facts of one call that say the same thing."""
    addresses = np.stack([fact.address for fact in facts])
    cosines = np.tril(addresses @ addresses.T, -1)  # (n, n): with earlier facts
    pairs = []
    for j, i in enumerate(cosines.argmax(1).tolist()):
        start = beginning(facts[i].text or "", facts[j].text or "")
        if cosines[j, i] >= NEAR and start:
            alone = build_view([facts[i]], model.spec)
            if (await model.read(alone, [start]))[0].in_scope:
                pairs.append((i, j))
    return pairs
