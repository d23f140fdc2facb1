"""Who is calling, and what they may do.

Authentication runs in the middleware, before a body is read: without a valid key nothing is
parsed. Authorisation is a dependency of each route, `allow("write")`: it answers 403 for a
missing scope or tenant before it is known whether the tenant exists.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import structlog
from fastapi import Header, Request
from fastapi import Path as PathParam

from service.errors import Forbidden, TenantRequired, Unauthenticated
from service.keystore import KeyStore, digest_of, key_id, new_key
from service.middleware import service_of
from service.settings import MIN_ADMIN_KEY, Settings, SettingsError
from service.tracing import annotate

Scope = Literal["read", "generate", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
TENANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"

TenantPath = Annotated[
    str, PathParam(pattern=TENANT_PATTERN, description="The tenant's name.", examples=["default"])
]


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `tenants` None is every tenant, `expires_at` None is never."""

    id: str
    tenants: tuple[str, ...] | None
    scopes: frozenset[str]
    expires_at: float | None = None

    def may_see(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants

    def covers(
        self,
        tenants: tuple[str, ...] | None,
        scopes: Collection[str],
        expires_at: float | None,
    ) -> bool:
        """True if this principal holds all that a key with these rights would, for as long."""
        inside = self.tenants is None or (tenants is not None and set(tenants) <= set(self.tenants))
        outlived = self.expires_at is None or (expires_at or math.inf) <= self.expires_at
        return inside and outlived and self.scopes.issuperset(scopes)

    def require(self, scope: Scope, tenant: str | None = None) -> None:
        if scope not in self.scopes:
            raise Forbidden(f"this key lacks the scope `{scope}`")
        if tenant is not None and not self.may_see(tenant):
            raise Forbidden("this key may not use that tenant")


EVERYONE = Principal("anonymous", None, frozenset(SCOPES))  # with LARIMAR_AUTH=off


class Authenticator:
    """Turns an Authorization header into a Principal, or raises Unauthenticated."""

    def __init__(self, keys: KeyStore, admin_key: str | None) -> None:
        self._keys = keys
        self._admin = hashlib.sha256(admin_key.encode()).hexdigest() if admin_key else None

    async def __call__(self, authorization: str | None) -> Principal:
        if self._admin is None:
            return EVERYONE
        key = _bearer(authorization)
        digest = digest_of(key)
        if secrets.compare_digest(digest, self._admin):
            return Principal("admin", None, frozenset(SCOPES))
        id = key_id(key)
        record = await self._keys.find(id) if id else None
        if record is None or not secrets.compare_digest(digest, record.digest):
            raise Unauthenticated()
        if record.expires_at is not None and record.expires_at <= time.time():
            raise Unauthenticated()
        await self._keys.touch(record.id)
        return Principal(record.id, record.tenants, frozenset(record.scopes), record.expires_at)


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not 0 < len(key) <= 256 or not key.isascii():
        raise Unauthenticated()
    return key


def principal(request: Request) -> Principal:
    """The caller that the middleware found."""
    found = request.state.principal
    assert isinstance(found, Principal)
    return found


def allow(scope: Scope) -> Callable[..., Awaitable[str]]:
    """A dependency: the path's tenant, once the caller may use it in this way."""

    async def check(request: Request, tenant: TenantPath) -> str:
        _about(tenant)
        principal(request).require(scope, tenant)
        await _admit(request, scope, tenant)
        return tenant

    return check


def allow_from_header(scope: Scope) -> Callable[..., Awaitable[str]]:
    """A dependency: the tenant of a route without one in its path."""

    async def check(
        request: Request,
        x_larimar_tenant: Annotated[str | None, Header(pattern=TENANT_PATTERN)] = None,
    ) -> str:
        caller = principal(request)
        if x_larimar_tenant is None:
            if caller.tenants is None or len(caller.tenants) != 1:
                caller.require(scope)
                raise TenantRequired(param="X-Larimar-Tenant")
            x_larimar_tenant = caller.tenants[0]
        _about(x_larimar_tenant)
        caller.require(scope, x_larimar_tenant)
        await _admit(request, scope, x_larimar_tenant)
        return x_larimar_tenant

    return check


def _about(tenant: str) -> None:
    """Logs and traces name the tenant; metrics never do."""
    structlog.contextvars.bind_contextvars(tenant=tenant)
    annotate(tenant=tenant)


async def _admit(request: Request, scope: Scope, tenant: str) -> None:
    """Administration is never limited: it is how a limit is lifted."""
    if scope != "admin":
        await service_of(request.scope).limits.admit(tenant)


def admin_key(settings: Settings) -> str | None:
    """The first key: set, read from a file, or made for the embedded start. None: auth is off."""
    if settings.auth == "off":
        return None
    if settings.admin_key is not None:
        return _strong(settings.admin_key.get_secret_value(), "LARIMAR_ADMIN_KEY")
    if settings.admin_key_file is not None:
        return _from_file(settings.admin_key_file, "LARIMAR_ADMIN_KEY_FILE")
    return _own_key(settings.admin_key_path)


def _own_key(path: Path) -> str:
    """The key of the embedded start, made once, readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _from_file(path, str(path))
    except OSError as exc:
        raise SettingsError(f"LARIMAR_DATA_DIR cannot be used: {exc}") from None
    with os.fdopen(handle, "w") as file:
        key = new_key("admin")
        file.write(key + "\n")
    return key


def _from_file(path: Path, name: str) -> str:
    try:
        return _strong(path.read_text(encoding="utf-8").strip(), name)
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{name} cannot be read: {exc}") from None


def _strong(key: str, name: str) -> str:
    if len(key) < MIN_ADMIN_KEY or not key.isascii() or any(c.isspace() for c in key):
        raise SettingsError(
            f"{name} must hold at least {MIN_ADMIN_KEY} ASCII characters and no spaces"
        )
    return key
