"""What can go wrong in a memory.

StoreError
├── TenantNotFound
├── FactNotFound
├── VersionConflict          expected_version does not match
├── QuotaExceeded
├── PolicyFixed              the policy cannot change after the first write
├── IdempotencyKeyReused     same change id, another body
├── CheckpointMismatch       stored under another checkpoint's fingerprint
├── PageCorrupt              a row's checksum is wrong; names the page
├── StoreFull                Redis is out of memory
├── DurabilityUnconfirmed    applied, but not confirmed by enough copies in time
├── OutcomeUnknown           the connection broke while a change was under way
└── StoreUnavailable         Redis cannot be reached
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the memory store."""


class TenantNotFound(StoreError): ...


class FactNotFound(StoreError): ...


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
