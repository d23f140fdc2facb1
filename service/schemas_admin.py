"""The shapes of administration: tenants, keys, the audit log, and probes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.auth import Scope
from service.schemas import Body, Reply, Seconds, TenantName, Version

Amount = Annotated[int, Field(ge=1, le=1 << 50)]


class Quota(Body):
    """What is left out stays as it is, or as the settings have it."""

    facts: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    bytes: Amount | None = None
    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None


class TenantRequest(Body):
    policy: Literal["grow", "fixed"] | None = None
    quota: Quota = Quota()


class Counts(Reply):
    facts: int
    suppressions: int
    chunks: int


class QuotaOut(Reply):
    """Null is no limit."""

    facts: int
    bytes: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None


class Used(Reply):
    used: Annotated[int | None, Field(description="Null where nothing is counted.")]
    quota: Annotated[int | None, Field(description="Null is no limit.")]


class UsageReply(Reply):
    facts: Used
    bytes: Used
    requests_per_minute: Used
    tokens_per_minute: Used


class TenantReply(Reply):
    tenant: str
    policy: Literal["grow", "fixed"]
    version: Version
    quota: QuotaOut
    counts: Counts
    bytes: int
    checkpoint: Annotated[str, Field(description="Fingerprint of the one that wrote the memory.")]
    created_at: Seconds


class SnapshotReply(Reply):
    version: Version
    facts: Annotated[int, Field(description="Rows of every kind.")]


class ReencodeRequest(Body):
    checkpoint: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="Fingerprint of the wanted checkpoint: a process with another one refuses.",
        ),
    ]


class ReencodeReply(Reply):
    status: Annotated[
        Literal["running", "reencoded", "current"],
        Field(description="`current`: the memory was under this checkpoint already."),
    ]
    done: Annotated[int, Field(description="Rows brought over.")]
    rows: int
    version: Version
    checkpoint: Annotated[str, Field(description="That the memory is under now.")]


class TenantsReply(Reply):
    tenants: list[str]


class KeyRequest(Body):
    tenants: Annotated[list[TenantName], Field(min_length=1, max_length=1000)] | Literal["*"]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    expires_at: Annotated[float, Field(gt=0, le=1e11)] | None = None


class KeyOut(Reply):
    id: str
    tenants: list[str] | Literal["*"]
    scopes: list[Scope]
    created_at: Seconds
    expires_at: Seconds | None
    last_used_at: Seconds | None = None


class NewKeyReply(KeyOut):
    key: Annotated[str, Field(description="Shown this once.")]


class KeysReply(Reply):
    keys: list[KeyOut]


class AuditEntry(Reply):
    id: str
    at: Seconds
    action: str
    key_id: str
    request_id: str
    tenant: str | None
    ids: list[str]
    version_before: int | None
    version_after: int | None


class AuditReply(Reply):
    entries: list[AuditEntry]
    next_after: Annotated[str | None, Field(description="Null on the last page.")]


class ReceiptKeyReply(Reply):
    key_id: str
    public_key: Annotated[str, Field(description="Ed25519, PEM.")]


# --- health -----------------------------------------------------------------------------------


class LiveReply(Reply):
    status: Literal["alive"]


class ReadyReply(Reply):
    status: Literal["ready"]
    store: Annotated[Literal["up", "down"], Field(description="Reported, not required.")]
    model: str
    checkpoint: Annotated[str, Field(description="Fingerprint of the one that is loaded.")]
