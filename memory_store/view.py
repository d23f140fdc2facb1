"""One tenant's memory at one version, held in this process.

A view is never changed: a later version is another view that shares the pages that stayed the
same. So the event loop may fetch a new one while the engine's thread reads the old one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from memory_store import kernel
from memory_store.blocks import Block, Blocks
from memory_store.fixed import FixedState
from memory_store.pages import FREE, K, Layout, Rows
from memory_store.places import Places
from memory_store.plan import Plan
from memory_store.rows import check, pack
from memory_store.store import Fact, Float32, MemorySpec, Policy, Readout, ReadParams, TenantInfo

LOCAL = TenantInfo("local", "grow", "local", 0, "", "", 0, 0, 0, 0, 0, 0.0)


@dataclass(frozen=True, eq=False)
class CachedPage:
    """A page as stored. Not a value: two pages are the same only if they are one object."""

    rows: Rows  # (K,), read-only

    @cached_property
    def place(self) -> int:
        """Its address in memory."""
        return self.rows.ctypes.data


def page_bytes(layout: Layout) -> int:
    """What a page takes in this process, with its share of a block."""
    return K * (layout.row_size + layout.spec.address_dim + 8)


@dataclass(frozen=True)
class View:
    """`TenantMemory` of store.py. Safe to share between threads."""

    info: TenantInfo
    spec: MemorySpec
    params: ReadParams
    pages: tuple[CachedPage, ...]
    fixed: FixedState | None = None
    stale: bool = False
    index: Blocks = field(default_factory=Blocks, compare=False, repr=False)
    clock: float | None = None  # a fixed time, for those who need one; else the wall's

    @property
    def now(self) -> float:
        return time.time() if self.clock is None else self.clock

    @property
    def blocks(self) -> list[Block]:
        return self.index.of(self.pages)

    def rows(self, slots: NDArray[np.int64]) -> Places:
        pages, rows = np.divmod(slots, K)
        return Places(self._layout, self._starts[pages] + rows * self._layout.row_size, self.pages)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.array([page.place for page in self.pages], np.int64)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.spec)

    @property
    def nbytes(self) -> int:
        held = len(self.pages) * page_bytes(self._layout)
        return held + (self.fixed.nbytes if self.fixed else 0)

    def read(self, queries: Float32) -> Readout:
        """Least-squares read of queries (Q, d). Raises ValueError if they are not finite."""
        return kernel.read_many([self], [queries])[0]

    def with_rows(self, rows: Mapping[int, np.void]) -> View:
        """The view after the slots in `rows` were overwritten; other pages are shared."""
        fixed = self.fixed and self.fixed.change(*self._difference(rows))
        pages = [page.rows for page in self.pages]
        fresh: set[int] = set()
        for slot in sorted(rows):
            page = slot // K
            while len(pages) <= page:
                pages.append(self._layout.empty())
            if page not in fresh:
                pages[page] = pages[page].copy()
                fresh.add(page)
            pages[page][slot % K] = rows[slot]
        kept = self.pages
        made = [
            CachedPage(data) if n in fresh or n >= len(kept) else kept[n]
            for n, data in enumerate(pages)
        ]
        return replace(self, pages=tuple(made), fixed=fixed)

    def _difference(self, rows: Mapping[int, np.void]) -> tuple[Rows, Rows]:
        """Occupied rows that `rows` overwrites, and occupied rows in it."""
        empty = self._layout.empty(0)
        before = [self.pages[s // K].rows[s % K] for s in sorted(rows) if s // K < len(self.pages)]
        after = [rows[slot] for slot in sorted(rows)]
        gone, new = (
            np.array([row for row in part if row["state"] != FREE], empty.dtype)
            for part in (before, after)
        )
        return gone, new

    def latents(self) -> dict[str, Float32]:
        """Stored latents (C,) by fact id."""
        return {
            row["id"].decode(): row["latent"].astype(np.float32)
            for page in self.pages
            for row in page.rows[page.rows["state"] != FREE]
        }

    def with_latents(self, latents: Mapping[str, Float32]) -> View:
        """The same memory with other latents under some ids: what would it answer then?"""
        changed: dict[int, np.void] = {}
        for n, page in enumerate(self.pages):
            for i in np.flatnonzero(page.rows["state"] != FREE):
                id = page.rows["id"][i].decode()
                if id in latents:
                    row = page.rows[i : i + 1].copy()
                    row["latent"] = latents[id]
                    changed[n * K + int(i)] = row[0]
        return self.with_rows(changed)


def build_view(
    facts: Sequence[Fact],
    spec: MemorySpec,
    params: ReadParams | None = None,
    policy: Policy = "grow",
) -> View:
    """A memory of `facts`, written in order, without a store. Raises InvalidFact."""
    layout, plan = Layout(spec), Plan.of({})
    for i, fact in enumerate(facts):
        check(fact, i, spec)
        plan.write(fact)
    rows = {
        slot: pack(layout, put.fact, put.entry.id, put.stamp) for slot, put in plan.puts.items()
    }
    params = params or ReadParams()
    info = replace(LOCAL, fingerprint=spec.fingerprint, facts=len(rows), policy=policy)
    fixed = FixedState.empty(spec, params) if policy == "fixed" else None
    return View(info, spec, params, (), fixed).with_rows(rows)
