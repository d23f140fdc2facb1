"""What a change does to a tenant's rows, worked out before anything is sent.

Writing a batch means writing its facts one by one: a fact with a stored id, or with a stored cue,
takes that fact's place, whether it was stored before or stands earlier in the same call. The plan
holds the final rows and what must go; the script (lua/change.lua) carries it out if the tenant's
version is still the one that was planned for.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memory_store.cue import default_id, digest
from memory_store.rows import identity
from memory_store.store import Document, Fact, Kind, RowResult


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a fact lives. `cue` is the digest it is indexed under, "" for chunks; `bytes` are of
    its stored record."""

    id: str
    slot: int
    kind: Kind
    cue: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Put:
    entry: Entry
    fact: Fact
    stamp: int


@dataclass
class Plan:
    """Starts from what is stored under the ids and cues of the change; then `write`, `forget`."""

    by_id: dict[str, Entry]
    by_cue: dict[str, Entry]  # by digest
    free: list[int]  # the lowest free slots, ascending
    slots: int  # slots ever used: the next one where none is free
    stamp: int  # newest stamp given
    stored_document: Document | None = None  # under the change's document id
    document: Document | None = None  # as it is to be; a document without chunks goes
    puts: dict[int, Put] = field(default_factory=dict)  # by slot
    removed: list[Entry] = field(default_factory=list)  # stored entries that go

    def __post_init__(self) -> None:
        self._free_before = set(self.free)

    @classmethod
    def of(
        cls,
        stored: Mapping[str, Entry],
        free: Sequence[int] = (),
        slots: int = 0,
        stamp: int = 0,
        document: Document | None = None,
    ) -> Plan:
        by_cue = {entry.cue: entry for entry in stored.values() if entry.cue}
        return cls(dict(stored), by_cue, list(free), slots, stamp, document)

    def write(self, fact: Fact) -> RowResult:
        """Place one fact; what it replaces is removed, and leaves it its slot: a listing that goes
        on from a cursor finds every fact that was there all the time."""
        id, cue = identity(fact), cue_key(fact)
        same_id, same_cue = self.by_id.get(id), self.by_cue.get(cue)
        slots = [self._remove(entry) for entry in dict.fromkeys((same_id, same_cue)) if entry]
        slot = slots[0] if slots else self._slot()
        for other in slots[1:]:
            heapq.heappush(self.free, other)
        self.stamp += 1
        entry = Entry(id, slot, fact.kind, cue)
        self.puts[entry.slot] = Put(entry, fact, self.stamp)
        self.by_id[id] = entry
        if cue:
            self.by_cue[cue] = entry
        superseded = same_cue.id if same_cue and same_cue.id != id else None
        replaced = same_id is not None or same_cue is not None
        return RowResult(id, "replaced" if replaced else "written", superseded)

    def forget(self, id: str | None = None, cue: str | None = None) -> RowResult:
        """Erase by id or by cue."""
        entry = self.by_cue.get(digest(cue)) if cue is not None else self.by_id.get(id or "")
        if entry is None:
            return RowResult(id or default_id(cue or ""), "not_found")
        heapq.heappush(self.free, self._remove(entry))
        return RowResult(entry.id, "erased")

    def _remove(self, entry: Entry) -> int:
        """The slot that is nobody's now."""
        del self.by_id[entry.id]
        self.by_cue.pop(entry.cue, None)
        if self.puts.pop(entry.slot, None) is None:
            self.removed.append(entry)
        return entry.slot

    def _slot(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.slots += 1
        return self.slots - 1

    @property
    def freed(self) -> list[int]:
        """Slots that the change leaves empty and that were not free before."""
        return sorted(set(self.free) - self._free_before)

    @property
    def touched(self) -> bool:
        return bool(self.puts or self.removed)

    def count(self, kind: Kind) -> int:
        """By how many facts of a kind the tenant grows; negative if it shrinks."""
        gained = sum(put.entry.kind == kind for put in self.puts.values())
        return gained - sum(entry.kind == kind for entry in self.removed)


def cue_key(fact: Fact) -> str:
    """The digest a fact is indexed under; chunks of a document never replace one another."""
    return "" if fact.kind == "chunk" else digest(fact.cue)
