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
    id: str
    status: Literal["erased", "suppressed", "not_found"]


@dataclass(frozen=True, slots=True)
class ForgetReply:
    version: int
    results: list[ForgetResult]


@dataclass(frozen=True, slots=True)
class Match:
    id: str
    weight: float
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
    chunks: int
    version: int


@dataclass(frozen=True, slots=True)
class Counts:
    facts: int
    suppressions: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Quota:
    facts: int


@dataclass(frozen=True, slots=True)
class TenantInfo:
    tenant: str
    policy: Policy
    version: int
    quota: Quota
    counts: Counts
    bytes: int
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


@dataclass(frozen=True, slots=True)
class NewKey:
    """`key` is shown this once."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class KeyList:
    keys: list[KeyInfo]


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
