"""The audit log, and the public key that checks receipts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Query, Request

from service.auth import principal
from service.errors import NoReceipts
from service.routes.common import Running, protected
from service.schemas_admin import AuditEntry, AuditReply, ReceiptKeyReply

router = protected("audit", "/v1")
After = Annotated[
    str | None,
    Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$", description="`next_after` of the page before."),
]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/audit")
async def list_audit(
    request: Request, service: Running, after: After = None, limit: Limit = 100
) -> AuditReply:
    """Changes, the oldest first, of the tenants that this key sees."""
    caller = principal(request)
    caller.require("admin")
    found = await service.audit.entries(after, limit)
    seen = [
        AuditEntry(**asdict(entry))
        for entry in found
        if caller.tenants is None or (entry.tenant and caller.may_see(entry.tenant))
    ]
    return AuditReply(entries=seen, next_after=found[-1].id if len(found) == limit else None)


@router.get("/receipt-key")
async def get_receipt_key(service: Running) -> ReceiptKeyReply:
    """The public key that receipts of erasures are checked with."""
    if service.signer is None:
        raise NoReceipts()
    return ReceiptKeyReply(key_id=service.signer.key_id, public_key=service.signer.public_key())
