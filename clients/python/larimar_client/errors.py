"""What can go wrong, one class for each code of the service.

LarimarError
├── Unreachable              no reply: the connection failed, broke or timed out
├── UnexpectedReply          a reply that is not this service's, or a stream without its end
└── ApiError                 the service's error: status, code, message, param, request_id
    ├── Refused              4xx: sent again, it is refused again
    │   ├── Invalid          400, 413, 415, 422
    │   ├── Unauthenticated  401
    │   ├── Forbidden        403
    │   ├── NotFound         404, 405
    │   └── Conflict         409
    ├── Unavailable          429, 503: may well work later; was tried again already
    └── Failed               any other 5xx

Below these, a class a code: `VersionConflict` is a `Conflict`. A code that this client does not
know yet is raised as the group of its status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class LarimarError(Exception):
    """Base of all errors of this client."""


class Unreachable(LarimarError):
    """`sent` is False where the request surely never left."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UnexpectedReply(LarimarError): ...


class ApiError(LarimarError):
    """An error as the service describes it; `code` is stable."""

    CODES: ClassVar[dict[str, type[ApiError]]] = {}

    def __init_subclass__(cls, code: str | None = None) -> None:
        if code is not None:
            ApiError.CODES[code] = cls

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        request_id: str | None = None,
        details: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        place = f" ({param})" if param else ""
        super().__init__(f"{status} {code}: {message}{place}")
        self.status, self.code, self.message, self.param = status, code, message, param
        self.request_id, self.details, self.retry_after = request_id, details, retry_after


class Refused(ApiError): ...


class Invalid(Refused): ...


class InvalidRequest(Invalid, code="invalid_request"): ...


class InvalidJson(Invalid, code="invalid_json"): ...


class BlankText(Invalid, code="blank_text"): ...


class TextNotStorable(Invalid, code="text_not_storable"): ...


class FactTooLong(Invalid, code="fact_too_long"): ...


class PromptTooLong(Invalid, code="prompt_too_long"): ...


class NoChatTemplate(Invalid, code="no_chat_template"): ...


class BodyTooLarge(Invalid, code="body_too_large"): ...


class UnsupportedMediaType(Invalid, code="unsupported_media_type"): ...


class TenantRequired(Invalid, code="tenant_required"): ...


class IdempotencyKeyReused(Invalid, code="idempotency_key_reused"): ...


class SnapshotInvalid(Invalid, code="snapshot_invalid"): ...


class Unauthenticated(Refused, code="unauthenticated"): ...


class Forbidden(Refused, code="forbidden"): ...


class NotFound(Refused, code="not_found"): ...


class MethodNotAllowed(NotFound, code="method_not_allowed"): ...


class TenantNotFound(NotFound, code="tenant_not_found"): ...


class FactNotFound(NotFound, code="fact_not_found"): ...


class DocumentNotFound(NotFound, code="document_not_found"): ...


class KeyNotFound(NotFound, code="key_not_found"): ...


class NoReceipts(NotFound, code="no_receipts"): ...


class ModelNotFound(NotFound, code="model_not_found"): ...


class Conflict(Refused): ...


class VersionConflict(Conflict, code="version_conflict"): ...


class QuotaExceeded(Conflict, code="quota_exceeded"): ...


class PolicyFixed(Conflict, code="policy_fixed"): ...


class DocumentConflict(Conflict, code="document_conflict"): ...


class OtherCheckpoint(Conflict, code="other_checkpoint"):
    """This process has another checkpoint than the one named; one behind the same URL may not."""


class NotReencodable(Conflict, code="not_reencodable"):
    """`details` names the facts that the checkpoint cannot hold; nothing was changed."""


class Unavailable(ApiError): ...


class RateLimited(Unavailable, code="rate_limited"): ...


class QueueFull(Unavailable, code="queue_full"): ...


class Starting(Unavailable, code="starting"): ...


class Draining(Unavailable, code="draining"): ...


class StoreUnavailable(Unavailable, code="store_unavailable"): ...


class OutOfMemory(Unavailable, code="out_of_memory"): ...


class EngineStopped(Unavailable, code="engine_stopped"): ...


class CheckpointMismatch(Unavailable, code="checkpoint_mismatch"): ...


class OutcomeUnknown(Unavailable, code="outcome_unknown"):
    """The change may or may not have been made; the same call with the same key settles it."""


class DurabilityUnconfirmed(Unavailable, code="durability_unconfirmed"):
    """The change was made, but not confirmed by enough copies in time."""


class Failed(ApiError): ...


class InternalError(Failed, code="internal_error"): ...


class PageCorrupt(Failed, code="page_corrupt"): ...


class StoreFull(Failed, code="store_full"): ...


_GROUPS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: NotFound,
    409: Conflict,
    429: Unavailable,
    503: Unavailable,
}


def of(status: int, body: Any, retry_after: float | None = None) -> ApiError:
    """The error of a reply; what is not the service's own envelope keeps its status."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        error = {}
    code = str(error.get("code", "unknown"))
    group = _GROUPS.get(status, Invalid if status < 500 else Failed)
    return ApiError.CODES.get(code, group)(
        status,
        code,
        str(error.get("message", "not a reply of this service")),
        param=error.get("param"),
        request_id=error.get("request_id"),
        details=error.get("details") or (),
        retry_after=retry_after,
    )
