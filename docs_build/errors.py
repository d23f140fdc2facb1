"""The reference of error codes: the rows of service/errors.py, each with what to do about it."""

from __future__ import annotations

from docs_build.tables import code, table
from service.app import ROUTER_CODES
from service.errors import TABLE, Problem, envelope, problem_of

# What a client or an operator does about a code; the reference lists a code without advice too.
ADVICE = {
    "unauthenticated": "Send `Authorization: Bearer KEY`; the key may have expired.",
    "forbidden": "Use a key that holds the tenant and the scope. It says so whether or not the "
    "tenant exists.",
    "tenant_required": "The key holds several tenants: name one in `X-Larimar-Tenant`.",
    "invalid_request": "Correct the field that `param` names.",
    "fact_too_long": "Shorten the fact, or send the text as a "
    "[document](../tutorials/documents.md).",
    "prompt_too_long": "Shorten the prompt, or ask for fewer `max_new_tokens`.",
    "body_too_large": "Send fewer facts a call; raise `LARIMAR_BODY_BYTES`.",
    "rate_limited": "Wait for `Retry-After`; the tenant's rate is in its usage.",
    "queue_full": "Wait for `Retry-After`; see [runbook](../operations/runbook.md).",
    "starting": "Wait: the model is being loaded.",
    "draining": "Send it again, on a new connection: another replica takes it.",
    "internal_error": "A defect. Report it with its `request_id`.",
    "tenant_not_found": "Make it with `PUT /v1/tenants/{tenant}`: a write never does.",
    "document_conflict": "Erase the document first, or use another id.",
    "version_conflict": "Read again, decide again, send the new `expected_version`.",
    "quota_exceeded": "Forget what is not needed, or raise the tenant's quota.",
    "policy_fixed": "Make another tenant.",
    "idempotency_key_reused": "Draw a new key for a new body.",
    "checkpoint_mismatch": "See [upgrades](../operations/upgrades.md).",
    "not_reencodable": "Forget or shorten the facts that `details` names, then "
    "`larimar reencode` again.",
    "other_checkpoint": "Ask a process of the new checkpoint: `larimar reencode --wait` does.",
    "unsupported_media_type": "Send JSON, with the header.",
    "out_of_memory": "Resend; lower `LARIMAR_MAX_ROWS` where it comes again.",
    "page_corrupt": "Restore the tenant from a [snapshot](../operations/backup.md).",
    "store_full": "Give the store more memory. Forgetting goes on working.",
    "durability_unconfirmed": "It is applied. Resend with the same key to have it confirmed.",
    "outcome_unknown": "Resend with the same `Idempotency-Key`: it is made once.",
    "store_unavailable": "Resend; reads go on from caches for `LARIMAR_MAX_STALE_SECONDS`.",
    "engine_stopped": "Send it again: the process ends itself and another takes over.",
    "no_chat_template": "The decoder is a base model: use `/v1/completions`.",
    "model_not_found": "Ask for `default` or `base`.",
    "snapshot_invalid": "The message says what is wrong with the [file](snapshot.md).",
    "no_receipts": "Set `LARIMAR_RECEIPT_KEY_FILE`.",
}


def page() -> str:
    rows = [
        [code(p.code), p.status, code(envelope(p, "")["error"]["type"]), _upper(p.message),
         ADVICE.get(p.code, "")]
        for p in problems()
    ]  # fmt: skip
    return table(["code", "status", "type", "meaning", "what to do"], rows)


def problems() -> list[Problem]:
    """One a code, by status and code."""
    found: dict[str, Problem] = {}
    for cls in TABLE:
        status, name, message = TABLE[cls]
        found.setdefault(name, Problem(status, name, message))
    for status, name in ROUTER_CODES.items():
        words = {404: "there is no such path", 405: "this path does not take that method"}
        found.setdefault(name, Problem(status, name, words.get(status, "")))
    assert problem_of(RuntimeError()).code in found  # the code of all that is unforeseen
    return sorted(found.values(), key=lambda p: (p.status, p.code))


def _upper(message: str) -> str:
    return message[:1].upper() + message[1:] + "."
