"""A tenant as one file: safetensors, so that any client can read or author it.

Tensors, n rows in the order of writing, oldest first:

    keys       float16 (n, d)   addresses, unit length
    latents    float16 (n, C)
    records    uint8   (bytes)  n JSON lines: id, kind ("fact", "suppression", "chunk"), prompt and
                                target, or text, and where there is one document_id, metadata,
                                created_at, expires_at, cue (the digest it is indexed under;
                                without it the cue is the prompt, else the text)
    documents  uint8   (bytes)  JSON lines: id, digest, chunks, chunks_done, created_at

and text metadata: format = "larimar-snapshot-1", fingerprint of the checkpoint, policy, version,
sha256 of all tensor bytes. A file is believed only after everything in it was checked.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from safetensors import SafetensorError, safe_open

from memory_store.changes import parse_document
from memory_store.cue import digest
from memory_store.errors import CheckpointMismatch, InvalidFact, SnapshotInvalid
from memory_store.pages import STATES, K, Rows, live
from memory_store.plan import Entry
from memory_store.rows import ID, check, identity
from memory_store.store import Document, Fact, MemorySpec, Policy
from memory_store.view import View

FORMAT: Final = "larimar-snapshot-1"
BATCH: Final = 500  # rows handled at once
PIECE: Final = 1 << 20  # bytes hashed at once
DIGEST: Final = re.compile(r"[0-9a-f]{32}")


def export(view: View, records: dict[int, bytes], documents: list[Document]) -> Iterator[bytes]:
    """The file, piece by piece. What has expired is left out, and a document with nothing left."""
    slots = _slots_in_order(view)
    if documents:
        held = {json.loads(records[slot]).get("document_id") for slot in slots}
        documents = [document for document in documents if document.id in held]
    lines = b"".join(records[slot] + b"\n" for slot in slots)
    index = b"".join(json.dumps(_fields(doc)).encode() + b"\n" for doc in documents)
    tensors: list[tuple[str, str, list[int], Callable[[], Iterator[bytes]]]] = [
        ("keys", "F16", [len(slots), view.spec.address_dim], lambda: _vectors(view, slots, "key")),
        ("latents", "F16", [len(slots), view.spec.latent_dim],
         lambda: _vectors(view, slots, "latent")),
        ("records", "U8", [len(lines)], lambda: iter([lines])),
        ("documents", "U8", [len(index)], lambda: iter([index])),
    ]  # fmt: skip
    checksum, end = hashlib.sha256(), 0
    header: dict[str, Any] = {}
    for name, dtype, shape, pieces in tensors:
        start = end
        for piece in pieces():
            checksum.update(piece)
            end += len(piece)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    header["__metadata__"] = _meta(view) | {"sha256": checksum.hexdigest()}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for *_, pieces in tensors:
        yield from pieces()


def _meta(view: View) -> dict[str, str]:
    return {
        "format": FORMAT,
        "fingerprint": view.spec.fingerprint,
        "policy": view.info.policy,
        "version": str(view.info.version),
    }


def _vectors(view: View, slots: list[int], field: str) -> Iterator[bytes]:
    for start in range(0, len(slots), BATCH):
        part = slots[start : start + BATCH]
        yield b"".join(view.pages[s // K].rows[field][s % K].tobytes() for s in part)


def _slots_in_order(view: View) -> list[int]:
    """Live slots, oldest row first."""
    stamps, slots = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for n, page in enumerate(view.pages):
        there = np.flatnonzero(live(page.rows, view.now))
        stamps.append(page.rows["stamp"][there])
        slots.append(there + n * K)
    order = np.argsort(np.concatenate(stamps))
    return cast(list[int], np.concatenate(slots)[order].tolist())


def _fields(document: Document) -> dict[str, Any]:
    return {name: getattr(document, name) for name in Document.__slots__}


@dataclass(frozen=True)
class Item:
    """One row of a file, checked."""

    fact: Fact
    entry: Entry
    created_at: float


class Snapshot:
    """A file that was checked whole. Raises SnapshotInvalid or CheckpointMismatch."""

    def __init__(self, path: Path, spec: MemorySpec) -> None:
        self.spec = spec
        try:
            self._file: Any = safe_open(path, framework="numpy")
            self._read(path)
            self.counts = self._check_rows()
        except (SafetensorError, OSError, UnicodeDecodeError, RecursionError) as error:
            raise SnapshotInvalid(f"not a sound safetensors file: {error}") from error

    def _read(self, path: Path) -> None:
        names = set(self._file.keys())
        if names != {"keys", "latents", "records", "documents"}:
            raise SnapshotInvalid(f"tensors must be keys, latents, records, documents, not {names}")
        meta = self._file.metadata() or {}
        if meta.get("format") != FORMAT or meta.get("policy") not in ("grow", "fixed"):
            raise SnapshotInvalid(f"metadata must say format {FORMAT} and a policy")
        if meta.get("fingerprint") != self.spec.fingerprint:
            raise CheckpointMismatch("the snapshot was made by another checkpoint")
        if meta.get("sha256") != _checksum(path):
            raise SnapshotInvalid("the data does not have the SHA-256 that the header gives")
        self.policy = cast(Policy, meta["policy"])
        lines = self._bytes("records").split(b"\n")
        self._records = lines[:-1]
        if lines[-1]:
            raise SnapshotInvalid("records do not end with a line end")
        self.n = len(self._records)
        for name, width in (("keys", self.spec.address_dim), ("latents", self.spec.latent_dim)):
            part = self._file.get_slice(name)
            if part.get_dtype() != "F16" or part.get_shape() != [self.n, width]:
                raise SnapshotInvalid(f"{name} must be float16 of shape ({self.n}, {width})")
        self.documents = [_document(line) for line in self._bytes("documents").splitlines()]

    def _bytes(self, name: str) -> bytes:
        part = self._file.get_slice(name)
        if part.get_dtype() != "U8" or len(part.get_shape()) != 1:
            raise SnapshotInvalid(f"{name} must be uint8 of one dimension")
        return cast(bytes, self._file.get_tensor(name).tobytes())

    def batches(self) -> Iterator[list[Item]]:
        """All rows, in order; slots and entries as they are to be stored."""
        keys, latents = self._file.get_slice("keys"), self._file.get_slice("latents")
        for start in range(0, self.n, BATCH):
            stop = min(start + BATCH, self.n)
            vectors = zip(keys[start:stop], latents[start:stop], strict=True)
            yield [self._item(start + i, key, z) for i, (key, z) in enumerate(vectors)]

    def _item(self, number: int, key: Rows, latent: Rows) -> Item:
        fields = _object(self._records[number], number)
        cue_text = fields.get("prompt") or fields.get("text") or ""
        try:
            fact = Fact(
                cue=cue_text,
                address=key.astype(np.float32),
                latent=latent.astype(np.float32),
                **{name: fields[name] for name in FACT_FIELDS if name in fields},
            )
            check(fact, number, self.spec)
        except (InvalidFact, TypeError) as error:
            raise SnapshotInvalid(f"row {number}: {error}") from error
        cue = "" if fact.kind == "chunk" else fields.get("cue", digest(cue_text))
        return Item(fact, Entry(identity(fact), number, fact.kind, cue), fields["created_at"])

    def _check_rows(self) -> dict[str, int]:
        """How many of each kind; no id and no cue stands twice, and no document alone."""
        counts = dict.fromkeys(STATES, 0)
        seen: set[str] = set()
        held: set[str | None] = set()
        for batch in self.batches():
            for item in batch:
                marks = {f"id {item.entry.id}", f"cue {item.entry.cue}"} - {"cue "}
                if marks & seen:
                    raise SnapshotInvalid(f"row {item.entry.slot}: its id or cue stands twice")
                seen |= marks
                held.add(item.fact.document_id)
                counts[item.entry.kind] += 1
        for document in self.documents:
            if document.id not in held:
                raise SnapshotInvalid(f"document {document.id}: none of its chunks is there")
        return cast(dict[str, int], counts)


TEXTS: Final = ("prompt", "target", "text", "document_id")
FACT_FIELDS: Final = ("id", "kind", "metadata", "expires_at", *TEXTS)


def _object(line: bytes, number: int) -> dict[str, Any]:
    """One record, of the right types."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SnapshotInvalid(f"record {number} is not JSON") from error
    sound = (
        isinstance(fields, dict)
        and isinstance(fields.get("id"), str)
        and isinstance(fields.get("kind"), str)
        and fields["kind"] in STATES
        and all(isinstance(fields.get(name, ""), str) for name in TEXTS)
        and isinstance(fields.get("metadata", {}), dict)
        and _number(fields.setdefault("created_at", 0.0))
        and ("expires_at" not in fields or _number(fields["expires_at"]))
        and isinstance(fields.get("cue", ""), str)
        and DIGEST.fullmatch(fields.get("cue", "0" * 32)) is not None
    )
    if not sound:
        raise SnapshotInvalid(f"record {number} has a missing or wrong field")
    if bool(fields.get("prompt")) != bool(fields.get("target")):
        raise SnapshotInvalid(f"record {number} has a prompt or a target without the other")
    if not (fields.get("prompt") or fields.get("text")):
        raise SnapshotInvalid(f"record {number} has neither prompt and target nor text")
    return cast(dict[str, Any], fields)


def _number(value: object) -> bool:
    """Whether a float holds it: JSON knows larger integers."""
    return type(value) in (int, float) and abs(cast(float, value)) <= sys.float_info.max


def _document(line: bytes) -> Document:
    try:
        document = parse_document(line)
    except (ValueError, TypeError, RecursionError) as error:
        raise SnapshotInvalid("a document's line is not one") from error
    sound = (
        document is not None
        and all(isinstance(text, str) for text in (document.id, document.digest))
        and ID.fullmatch(document.id) is not None
        and all(type(count) is int for count in (document.chunks, document.chunks_done))
        and 0 < document.chunks_done <= document.chunks
        and _number(document.created_at)
    )
    if document is None or not sound:
        raise SnapshotInvalid("a document has a wrong field")
    return document


def _checksum(path: Path) -> str:
    """SHA-256 of everything after the header."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while piece := file.read(PIECE):
            checksum.update(piece)
    return checksum.hexdigest()
