"""Rows where they lie in this process's memory: a search copies only what it needs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_store.pages import Layout, Rows
from memory_store.scan import Addresses, copied


@dataclass(frozen=True, slots=True)
class Places:
    """Rows of one layout. They must not be written to."""

    layout: Layout
    at: Addresses  # (n,), or of another shape with 0 for no row
    owner: object  # whose memory that is: it is kept as long

    @classmethod
    def of(cls, layout: Layout, rows: Rows) -> Places:
        """Of rows that lie side by side (n,)."""
        return cls(layout, rows.ctypes.data + layout.row_size * np.arange(len(rows)), rows)

    def __len__(self) -> int:
        return len(self.at)

    def take(self, which: slice | NDArray[Any]) -> Places:
        return replace(self, at=self.at[which])

    def joined(self, other: Places) -> Places:
        return Places(self.layout, np.concatenate([self.at, other.at]), (self.owner, other.owner))

    def field(self, name: str) -> Addresses:
        """Where a field of each lies, in the shape of `at`."""
        return np.where(self.at == 0, 0, self.at + self.layout.offset_of(name))

    def copies(self, name: str) -> NDArray[Any]:
        """A field of each, (n, ...)."""
        kind, shape = self.layout.dtype[name].base, self.layout.dtype[name].shape
        found = copied(self.field(name), self.layout.dtype[name].itemsize)
        return np.frombuffer(found, kind).reshape(len(self), *shape)

    def heads(self) -> Rows:
        """Copies of all but address and latent, (n,)."""
        return np.frombuffer(copied(self.at, self.layout.head.itemsize), self.layout.head)

    def whole(self) -> Rows:
        """Copies, (n,)."""
        return np.frombuffer(copied(self.at, self.layout.row_size), self.layout.dtype)
