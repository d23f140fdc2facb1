"""What can go wrong in a memory.

StoreError
├── TenantNotFound
├── FactNotFound
├── DocumentNotFound
├── DocumentConflict         another text, or another place in it, under the same document id
├── InvalidFact              a fact no row can hold: not finite, wrong shape, bad id
├── SnapshotInvalid          a file that is no snapshot, or a damaged one
├── VersionConflict          expected_version does not match
├── QuotaExceeded
├── PolicyFixed              the policy cannot change after the first write
├── IdempotencyKeyReused     same change id, another body
├── CheckpointMismatch       stored under another checkpoint's fingerprint
├── PageCorrupt              a page is damaged or gone; names it
├── StoreFull                Redis is out of memory
├── DurabilityUnconfirmed    applied, but not confirmed by enough copies in time
├── OutcomeUnknown           the connection broke while a change was under way
├── StoreUnavailable         Redis cannot be reached
└── DataDirLocked            another process runs the embedded Valkey on this folder
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the memory store."""


class TenantNotFound(StoreError): ...


class FactNotFound(StoreError): ...


class DocumentNotFound(StoreError): ...


class DocumentConflict(StoreError): ...


class InvalidFact(StoreError):
    """`index` is the fact's place in the call."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"facts[{index}]: {reason}")
        self.index, self.reason = index, reason


class SnapshotInvalid(StoreError): ...


class VersionConflict(StoreError): ...


class QuotaExceeded(StoreError): ...


class PolicyFixed(StoreError): ...


class IdempotencyKeyReused(StoreError): ...


class CheckpointMismatch(StoreError): ...


class PageCorrupt(StoreError): ...


class StoreFull(StoreError): ...


class DurabilityUnconfirmed(StoreError): ...


class OutcomeUnknown(StoreError): ...


class StoreUnavailable(StoreError): ...


class DataDirLocked(StoreError): ...
