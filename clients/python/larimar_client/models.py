"""What is sent and what comes back, as typed data.

Replies are frozen dataclasses; fields that a newer service adds are ignored. Times are seconds
since the epoch.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypedDict, TypeVar, Union, get_args, get_origin, get_type_hints

from larimar_client.errors import UnexpectedReply

T = TypeVar("T")
Memory = Literal["auto", "always", "never"]
Policy = Literal["grow", "fixed"]
Scope = Literal["read", "generate", "write", "admin"]


class FactInput(TypedDict, total=False):
    """`prompt` and `target`, or `text` alone."""

    prompt: str
    target: str
    text: str
    id: str
    ttl_seconds: float
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WriteResult:
    id: str
    status: Literal["written", "replaced"]
    replaced_id: str | None = None


@dataclass(frozen=True, slots=True)
class WriteReply:
    version: int
    results: list[WriteResult]


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """The confidences: that an erased fact's prompt asks for a stored fact, then and now."""

    id: str
    status: Literal["erased", "suppressed", "not_found"]
    confidence_before: float | None = None
    confidence_after: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of an erasure: an Ed25519 signature, base64, over the payload's bytes."""

    payload: str
    signature: str
    key_id: str


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    key_id: str
    public_key: str  # PEM


@dataclass(frozen=True, slots=True)
class ForgetReply:
    version: int
    results: list[ForgetResult]
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A row that was read. `similarity`: the cosine of query and row."""

    id: str
    weight: float
    similarity: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ReadResult:
    """`text` is decoded from the latent; a match's `text` is the stored one."""

    in_scope: bool
    confidence: float
    text: str
    matches: list[Match]


@dataclass(frozen=True, slots=True)
class ReadReply:
    version: int
    stale: bool
    results: list[ReadResult]


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class GenerateResult:
    text: str
    in_scope: bool
    confidence: float
    fact_ids: list[str]
    finish_reason: Literal["stop", "length"]
    usage: Usage


@dataclass(frozen=True, slots=True)
class GenerateReply:
    version: int
    stale: bool
    results: list[GenerateResult]

    @property
    def text(self) -> str:
        """What was generated for the first prompt."""
        return self.results[0].text


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text of prompt number `index`, as it is generated."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class TargetScore:
    target: str
    logprob: float  # natural logarithm, sum over the tokens
    tokens: list[str]
    token_logprobs: list[float]


@dataclass(frozen=True, slots=True)
class ScoreResult:
    in_scope: bool
    targets: list[TargetScore]


@dataclass(frozen=True, slots=True)
class ScoreReply:
    version: int
    stale: bool
    results: list[ScoreResult]


@dataclass(frozen=True, slots=True)
class StoredFact:
    id: str
    kind: Literal["fact", "suppression", "chunk"]
    created_at: float
    expires_at: float | None = None
    prompt: str | None = None
    target: str | None = None
    text: str | None = None
    document_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactsPage:
    facts: list[StoredFact]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a document has come; `partial` goes on when the same text is sent again."""

    id: str
    status: Literal["partial", "complete"]
    chunks: int
    chunks_done: int
    version: int


@dataclass(frozen=True, slots=True)
class Reencoded:
    """How far a memory is brought under a checkpoint; `current`: it was already."""

    status: Literal["running", "reencoded", "current"]
    done: int
    rows: int
    version: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    status: Literal["partial", "complete"]
    chunks: int
    chunks_done: int
    created_at: float


@dataclass(frozen=True, slots=True)
class DocumentList:
    documents: list[Document]


@dataclass(frozen=True, slots=True)
class DocumentErased:
    id: str
    status: Literal["erased"]
    chunks: int
    version: int
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    facts: int
    suppressions: int
    chunks: int


class QuotaInput(TypedDict, total=False):
    """What is left out stays as it is."""

    facts: int
    bytes: int
    requests_per_minute: int
    tokens_per_minute: int


@dataclass(frozen=True, slots=True)
class Quota:
    """None is no limit."""

    facts: int
    bytes: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """`used` None: nothing is counted; `quota` None: no limit."""

    used: int | None = None
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class TenantUsage:
    facts: Used
    bytes: Used
    requests_per_minute: Used
    tokens_per_minute: Used


@dataclass(frozen=True, slots=True)
class Restored:
    version: int
    facts: int  # rows of every kind


@dataclass(frozen=True, slots=True)
class TenantInfo:
    tenant: str
    policy: Policy
    version: int
    quota: Quota
    counts: Counts
    bytes: int
    checkpoint: str  # fingerprint of the one that wrote the memory
    created_at: float


@dataclass(frozen=True, slots=True)
class TenantNames:
    tenants: list[str]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    id: str
    tenants: list[str] | Literal["*"]
    scopes: list[Scope]
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(KeyInfo):
    """`key` is shown this once."""

    key: str


@dataclass(frozen=True, slots=True)
class KeyList:
    keys: list[KeyInfo]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: str
    at: float
    action: str
    key_id: str
    request_id: str
    ids: list[str]
    tenant: str | None = None
    version_before: int | None = None
    version_after: int | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    entries: list[AuditEntry]
    next_after: str | None = None


def decode(kind: type[T], data: Any) -> T:
    """A reply as `kind`. Raises UnexpectedReply where a field is missing."""
    return _convert(kind, data)  # type: ignore[no-any-return]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _convert(kind: Any, data: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, data)
    if get_origin(kind) is list and isinstance(data, list):
        (item,) = get_args(kind)
        return [_convert(item, value) for value in data]
    if get_origin(kind) in (Union, types.UnionType) and data is not None:
        return _convert(get_args(kind)[0], data)  # the first of a union is the one that nests
    return data


def _object(kind: type, data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise UnexpectedReply(f"a {kind.__name__} should be an object")
    found = {}
    for one in fields(kind):
        if one.name in data:
            found[one.name] = _convert(_hints(kind)[one.name], data[one.name])
        elif one.default is MISSING and one.default_factory is MISSING:
            raise UnexpectedReply(f"the reply lacks `{one.name}` of a {kind.__name__}")
    return kind(**found)
