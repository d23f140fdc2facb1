"""Make, list, rotate and revoke keys.

A key may hand on only what it holds itself, for no longer than it lives, and sees only keys that
hold no more than it does.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import Path, Request

from service.auth import Principal, Scope, principal
from service.errors import Forbidden, KeyNotFound
from service.keystore import KeyRecord
from service.routes.common import Running, protected
from service.schemas_admin import KeyOut, KeyRequest, KeysReply, NewKeyReply

router = protected("keys", "/v1/keys")
KeyPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{1,64}$", description="The key's id.")]


@router.post("", status_code=201)
async def create_key(request: Request, body: KeyRequest, service: Running) -> NewKeyReply:
    """A new key, shown this once."""
    tenants = None if body.tenants == "*" else tuple(sorted(set(body.tenants)))
    scopes = tuple(sorted(set(body.scopes)))
    if not _admin(request).covers(tenants, scopes, body.expires_at):
        raise Forbidden("a key can hand on only what it holds itself, and for no longer")
    record, key = await service.keys.create(tenants, scopes, body.expires_at)
    await service.audit.note("key.create", ids=[record.id])
    return NewKeyReply(**_fields(record), key=key)


@router.get("")
async def list_keys(request: Request, service: Running) -> KeysReply:
    """The keys that hold no more than this one."""
    caller = _admin(request)
    records = [r for r in await service.keys.all() if _visible(caller, r)]
    return KeysReply(keys=[KeyOut(**_fields(record)) for record in records])


@router.delete("/{id}", status_code=204)
async def delete_key(request: Request, id: KeyPath, service: Running) -> None:
    """Revoke a key, on every worker within a second."""
    await _found(request, service, id)
    await service.keys.revoke(id)
    await service.audit.note("key.revoke", ids=[id])


@router.post("/{id}/rotate")
async def rotate_key(request: Request, id: KeyPath, service: Running) -> NewKeyReply:
    """A new secret for the same id; the old one stops within a second."""
    await _found(request, service, id)
    record, key = await service.keys.rotate(id)
    await service.audit.note("key.rotate", ids=[id])
    return NewKeyReply(**_fields(record), key=key)


def _admin(request: Request) -> Principal:
    caller = principal(request)
    caller.require("admin")
    return caller


async def _found(request: Request, service: Running, id: str) -> KeyRecord:
    caller = _admin(request)
    record = await service.keys.get(id)
    if not _visible(caller, record):
        raise KeyNotFound()
    return record


def _visible(caller: Principal, record: KeyRecord) -> bool:
    return caller.covers(record.tenants, record.scopes, record.expires_at)


def _fields(record: KeyRecord) -> dict[str, Any]:
    tenants: list[str] | Literal["*"] = "*" if record.tenants is None else list(record.tenants)
    return {
        "id": record.id,
        "tenants": tenants,
        "scopes": cast(list[Scope], list(record.scopes)),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "last_used_at": record.last_used_at,
    }
