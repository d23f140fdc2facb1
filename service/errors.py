"""Every error that a client can see, and the one table that maps it to HTTP.

ApiError
├── Unauthenticated          no key, or one that is wrong, expired or revoked
├── Forbidden                the key lacks the scope or the tenant
├── TenantRequired           the key holds several tenants and the header names none
├── KeyNotFound
├── NoReceipts               no key to sign with is set
├── ModelNotFound            neither `default` nor `base`
├── InvalidField             a value that only the handler can judge; carries `param`
├── OtherCheckpoint          the one asked for is not the one that this process has
├── NotReencodable           stored facts that this checkpoint cannot hold, in `details`
├── FactRefused              the engine's FactTooLong, located in the request
├── PromptRefused            the engine's PromptTooLong, located in the request
├── NoSuchPath               nothing is served there
├── BodyTooLarge
├── UnsupportedMediaType
├── RateLimited              over the tenant's rate; carries `retry_after`
├── ClientGone               nobody is left to answer; seen in logs and metrics only
├── Starting                 not ready yet
├── Draining                 shutting down; nothing new is admitted
└── InternalError            everything unforeseen: its text never reaches a client

Errors of the memory (memory_store/errors.py) and of the engine (engine/protocol.py) pass
through unwrapped: they are in the table too. What is in no table is an InternalError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memory_store import errors as store
from service.engine import protocol as engine


class ApiError(Exception):
    """Base of the service's own errors; the message is meant for the client."""

    def __init__(
        self,
        message: str = "",
        *,
        param: str | None = None,
        retry_after: int | None = None,
        details: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.param, self.retry_after, self.details = param, retry_after, details


class Unauthenticated(ApiError): ...


class Forbidden(ApiError): ...


class TenantRequired(ApiError): ...


class KeyNotFound(ApiError): ...


class NoReceipts(ApiError): ...


class ModelNotFound(ApiError): ...


class InvalidField(ApiError): ...


class OtherCheckpoint(ApiError): ...


class NotReencodable(ApiError): ...


class FactRefused(ApiError): ...


class PromptRefused(ApiError): ...


class NoSuchPath(ApiError): ...


class BodyTooLarge(ApiError): ...


class UnsupportedMediaType(ApiError): ...


class RateLimited(ApiError): ...


class ClientGone(ApiError): ...


class Starting(ApiError): ...


class Draining(ApiError): ...


class InternalError(ApiError): ...


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as the client sees it."""

    status: int
    code: str
    message: str
    param: str | None = None
    details: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


# class → (status, code, message used when the exception has none)
TABLE: dict[type[Exception], tuple[int, str, str]] = {
    Unauthenticated: (401, "unauthenticated", "send a valid key: Authorization: Bearer lrm_…"),
    Forbidden: (403, "forbidden", "this key may not do that"),
    TenantRequired: (400, "tenant_required", "name the tenant in the header X-Larimar-Tenant"),
    KeyNotFound: (404, "key_not_found", "there is no such key"),
    NoReceipts: (404, "no_receipts", "this service signs no receipts"),
    ModelNotFound: (404, "model_not_found", "the models are `default` and `base`"),
    InvalidField: (422, "invalid_request", "the request is not valid"),
    OtherCheckpoint: (409, "other_checkpoint", "this process has another checkpoint"),
    NotReencodable: (
        409,
        "not_reencodable",
        "facts that this checkpoint cannot hold; the tenant is as it was",
    ),
    FactRefused: (422, "fact_too_long", "a fact is too long"),
    PromptRefused: (422, "prompt_too_long", "the prompt is too long"),
    NoSuchPath: (404, "not_found", "Not Found"),
    BodyTooLarge: (413, "body_too_large", "the body is too large"),
    UnsupportedMediaType: (415, "unsupported_media_type", "send Content-Type: application/json"),
    RateLimited: (429, "rate_limited", "too many requests"),
    ClientGone: (499, "client_gone", "the client hung up"),
    Starting: (503, "starting", "the service is starting"),
    Draining: (503, "draining", "the service is shutting down"),
    InternalError: (500, "internal_error", "an internal error; its request id is in the log"),
    store.TenantNotFound: (404, "tenant_not_found", "there is no such tenant"),
    store.FactNotFound: (404, "fact_not_found", "there is no such fact"),
    store.DocumentNotFound: (404, "document_not_found", "there is no such document"),
    store.DocumentConflict: (
        409,
        "document_conflict",
        "another text is stored, or being stored, under this id",
    ),
    store.InvalidFact: (422, "invalid_request", "a fact cannot be stored"),
    store.SnapshotInvalid: (422, "snapshot_invalid", "the file is no sound snapshot"),
    store.VersionConflict: (409, "version_conflict", "the memory has another version"),
    store.QuotaExceeded: (409, "quota_exceeded", "the tenant's quota is used up"),
    store.PolicyFixed: (409, "policy_fixed", "the policy is fixed after the first write"),
    store.IdempotencyKeyReused: (
        422,
        "idempotency_key_reused",
        "this Idempotency-Key was used with another body",
    ),
    store.CheckpointMismatch: (
        503,
        "checkpoint_mismatch",
        "the tenant's memory was made by another checkpoint",
    ),
    store.PageCorrupt: (500, "page_corrupt", "a page of the memory is corrupt"),
    store.StoreFull: (507, "store_full", "the store is out of memory"),
    store.DurabilityUnconfirmed: (
        503,
        "durability_unconfirmed",
        "applied, but not confirmed by enough copies in time",
    ),
    store.OutcomeUnknown: (
        503,
        "outcome_unknown",
        "the connection broke: resend with the same Idempotency-Key",
    ),
    store.StoreUnavailable: (503, "store_unavailable", "the store cannot be reached"),
    engine.FactTooLong: (422, "fact_too_long", "a fact is too long"),
    engine.PromptTooLong: (422, "prompt_too_long", "the prompt is too long"),
    engine.QueueFull: (429, "queue_full", "the queue is full"),
    engine.OutOfMemory: (503, "out_of_memory", "the device is out of memory"),
    engine.NoChatTemplate: (422, "no_chat_template", "the model has no chat template"),
    engine.EngineStopped: (503, "engine_stopped", "the engine has stopped"),
}

# Errors of other layers whose own text is meant for clients; the rest may repeat what was sent.
SPOKEN = (
    ApiError,
    engine.EngineError,
    store.PageCorrupt,
    store.QuotaExceeded,
    store.SnapshotInvalid,
    store.VersionConflict,
)

# Statuses that a client may simply try again, and after how many seconds.
RETRY_AFTER = {429: 1, 503: 1}


def problem_of(exc: Exception) -> Problem:
    """The table's row for an exception; an unforeseen one tells the client nothing."""
    for cls in type(exc).__mro__:
        if cls in TABLE:
            status, code, default = TABLE[cls]
            break
    else:
        exc = InternalError()
        status, code, default = TABLE[InternalError]
    return Problem(
        status,
        code,
        (str(exc) if isinstance(exc, SPOKEN) else "") or default,
        param=getattr(exc, "param", None),
        details=getattr(exc, "details", ()),
        headers=_headers(status, code, getattr(exc, "retry_after", None)),
    )


def _headers(status: int, code: str, retry_after: int | None) -> dict[str, str]:
    headers = {"Connection": "close"} if code == "draining" else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in RETRY_AFTER:
        headers["Retry-After"] = str(retry_after or RETRY_AFTER[status])
    return headers


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def envelope(problem: Problem, request_id: str) -> dict[str, Any]:
    """The body of every reply of 400 and more."""
    by_class = "server_error" if problem.status >= 500 else "invalid_request_error"
    body: dict[str, Any] = {
        "code": problem.code,
        "message": problem.message,
        "type": _TYPES.get(problem.status, by_class),
        "param": problem.param,
        "request_id": request_id,
    }
    if problem.details:
        body["details"] = list(problem.details)
    return {"error": body}
