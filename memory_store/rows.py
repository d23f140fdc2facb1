"""A fact as a row and a record: what is refused, what is stored.

The row (pages.py) carries what the mathematics needs, the record what a listing shows. Both are
made here and nowhere else, so that what was checked is what is stored.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

import numpy as np

from memory_store.cue import default_id
from memory_store.errors import InvalidFact
from memory_store.pages import STATES, Layout
from memory_store.store import Fact, MemorySpec, Record

ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
UNIT_TOLERANCE: Final = 1e-3
FLOAT16_MAX: Final = 65504.0


def check(fact: Fact, index: int, spec: MemorySpec) -> None:
    """Raises InvalidFact, naming `index`, for a fact that no row can hold."""
    if fact.id is None and fact.kind == "chunk":
        raise InvalidFact(index, "a chunk needs an id")
    if fact.id is not None and not ID.fullmatch(fact.id):
        raise InvalidFact(index, "an id is 1 to 128 of A-Z a-z 0-9 . _ : -")
    if fact.address.shape != (spec.address_dim,) or fact.latent.shape != (spec.latent_dim,):
        shapes = f"({spec.address_dim},) and ({spec.latent_dim},)"
        raise InvalidFact(index, f"address and latent must have shapes {shapes}")
    if not abs(float(np.linalg.norm(fact.address)) - 1) <= UNIT_TOLERANCE:  # NaN fails too
        raise InvalidFact(index, "the address is not a unit vector")
    if not float(np.abs(fact.latent).max(initial=0)) <= FLOAT16_MAX:
        raise InvalidFact(index, "the latent does not fit float16")
    if fact.expires_at is not None and not 0 < fact.expires_at < math.inf:
        raise InvalidFact(index, "expires_at is not a time")
    try:
        json.dumps(dict(fact.metadata), allow_nan=False, ensure_ascii=False).encode()
        texts = (fact.prompt, fact.target, fact.text, fact.document_id)
        "".join(text for text in texts if text).encode()
    except (TypeError, ValueError) as error:
        raise InvalidFact(index, f"text or metadata cannot be stored: {error}") from error


def identity(fact: Fact) -> str:
    return default_id(fact.cue) if fact.id is None else fact.id


def pack(layout: Layout, fact: Fact, id: str, stamp: int) -> np.void:
    """The row of a fact, without its checksum. `stamp` orders a tenant's rows by newness."""
    row = layout.empty(1)
    row["state"] = STATES[fact.kind]
    row["expires_at"] = fact.expires_at or 0.0
    row["stamp"] = stamp
    row["id"] = id.encode()
    row["key"] = fact.address
    row["latent"] = fact.latent
    packed: np.void = row[0]
    return packed


def record_bytes(fact: Fact, id: str, cue: str, now: float) -> bytes:
    """The record of a fact as JSON; what is absent is left out. `cue` is its digest."""
    fields = {
        "id": id,
        "cue": cue or None,
        "kind": fact.kind,
        "prompt": fact.prompt,
        "target": fact.target,
        "text": fact.text,
        "document_id": fact.document_id,
        "metadata": dict(fact.metadata) or None,
        "created_at": now,
        "expires_at": fact.expires_at,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=(",", ":")).encode()


def parse_record(data: bytes) -> Record:
    fields = json.loads(data)
    return Record(
        id=fields["id"],
        kind=fields["kind"],
        prompt=fields.get("prompt"),
        target=fields.get("target"),
        text=fields.get("text"),
        document_id=fields.get("document_id"),
        metadata=fields.get("metadata", {}),
        created_at=fields["created_at"],
        expires_at=fields.get("expires_at"),
    )
