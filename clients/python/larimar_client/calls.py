"""Every call of the service as data: what to send, and how to read the reply.

Both clients take their methods from these functions, so that names, arguments and documentation
are written once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from larimar_client import models
from larimar_client.models import FactInput, Memory, Policy, QuotaInput, Scope, decode

T = TypeVar("T")
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `repeatable`: doing it twice is the same as doing it once."""

    method: str
    path: str
    parse: Callable[[Any], T]
    body: Any = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    file: Path | None = None  # sent as the body, in pieces


def reply(kind: type[M]) -> Callable[[Any], M]:
    return partial(decode, kind)


def nothing(body: Any) -> None:
    return None


# --- one tenant's memory ------------------------------------------------------------------------


def write(
    tenant: str,
    facts: Sequence[FactInput],
    *,
    expected_version: int | None = None,
    idempotency_key: str | None = None,
) -> Call[models.WriteReply]:
    """Write up to 1,000 facts, all or none: `{"prompt", "target"}` or `{"text"}` each.

    The next generation uses them. With `expected_version`, VersionConflict if the memory has
    another one.
    """
    body = _given(facts=list(facts), expected_version=expected_version)
    return _change(tenant, "POST", "/write", reply(models.WriteReply), body, idempotency_key)


def forget(
    tenant: str,
    ids: Sequence[str] = (),
    *,
    prompts: Sequence[str] = (),
    mode: Literal["erase", "suppress"] = "erase",
    idempotency_key: str | None = None,
) -> Call[models.ForgetReply]:
    """Erase facts by id, or by the prompt that they were written with.

    `mode="suppress"` makes the model say that it does not know, and can be undone.
    """
    body = {"ids": list(ids), "prompts": list(prompts), "mode": mode}
    return _change(tenant, "POST", "/forget", reply(models.ForgetReply), body, idempotency_key)


def read(
    tenant: str, queries: str | Sequence[str], *, top_k: int | None = None
) -> Call[models.ReadReply]:
    """What the memory reads out for queries, without generating."""
    body = _given(queries=_list(queries), top_k=top_k)
    return Call("POST", tenant_path(tenant, "/read"), reply(models.ReadReply), body)


def generate(
    tenant: str,
    prompt: str | Sequence[str],
    *,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    memory: Memory | None = None,
) -> Call[models.GenerateReply]:
    """Continue one prompt or up to 64. Greedy, 32 tokens and `memory="auto"` by default."""
    body = _given(
        prompt=_list(prompt),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        stop=None if stop is None else _list(stop),
        seed=seed,
        memory=memory,
    )
    return Call("POST", tenant_path(tenant, "/generate"), reply(models.GenerateReply), body)


def score(
    tenant: str, prompt: str, targets: Sequence[str], *, memory: Memory | None = None
) -> Call[models.ScoreReply]:
    """Log-probabilities of targets as continuations of a prompt."""
    items = [{"prompt": prompt, "targets": list(targets)}]
    body = _given(items=items, memory=memory)
    return Call("POST", tenant_path(tenant, "/score"), reply(models.ScoreReply), body)


def facts_page(
    tenant: str, *, cursor: str | None = None, limit: int = 500
) -> Call[models.FactsPage]:
    """A page of at most 500 facts; `next_cursor` asks for the next."""
    params = _given(cursor=cursor, limit=limit)
    return Call("GET", tenant_path(tenant, "/facts"), reply(models.FactsPage), params=params)


def fact(tenant: str, id: str) -> Call[models.StoredFact]:
    """One fact. Raises FactNotFound."""
    return Call("GET", tenant_path(tenant, f"/facts/{_segment(id)}"), reply(models.StoredFact))


def delete_fact(
    tenant: str, id: str, *, idempotency_key: str | None = None
) -> Call[models.ForgetReply]:
    """Erase one fact. Raises FactNotFound, where `forget` says `not_found`."""
    rest, parse = f"/facts/{_segment(id)}", reply(models.ForgetReply)
    return _change(tenant, "DELETE", rest, parse, key=idempotency_key)


def add_document(tenant: str, text: str, *, id: str | None = None) -> Call[models.Progress]:
    """Store a long text as many facts. Cut off, it goes on when the same text is sent again.

    DocumentConflict if another text is stored under this id; without one it is drawn from the
    text.
    """
    body = _given(text=text, id=id)
    return Call("POST", tenant_path(tenant, "/documents"), reply(models.Progress), body)


def documents(tenant: str) -> Call[models.DocumentList]:
    """All documents."""
    return Call("GET", tenant_path(tenant, "/documents"), reply(models.DocumentList))


def document(tenant: str, id: str) -> Call[models.Document]:
    """How far a document has come. Raises DocumentNotFound."""
    return Call("GET", tenant_path(tenant, f"/documents/{_segment(id)}"), reply(models.Document))


def delete_document(
    tenant: str, id: str, *, idempotency_key: str | None = None
) -> Call[models.DocumentErased]:
    """Erase a document: all its chunks. Raises DocumentNotFound."""
    rest, parse = f"/documents/{_segment(id)}", reply(models.DocumentErased)
    return _change(tenant, "DELETE", rest, parse, key=idempotency_key)


def info(tenant: str) -> Call[models.TenantInfo]:
    """Policy, quota, counts, bytes and version."""
    return Call("GET", tenant_path(tenant), reply(models.TenantInfo))


def usage(tenant: str) -> Call[models.TenantUsage]:
    """What is used of each quota; rates are of the current minute."""
    return Call("GET", tenant_path(tenant, "/usage"), reply(models.TenantUsage))


def reencode(tenant: str, checkpoint: str) -> Call[models.Reencoded]:
    """Encode all facts anew for the checkpoint of this fingerprint; run again, it is `current`.

    The memory is read and written meanwhile; cut short, it is as it was. OtherCheckpoint,
    NotReencodable.
    """
    body = {"checkpoint": checkpoint}
    return Call("POST", tenant_path(tenant, "/reencode"), reply(models.Reencoded), body)


def restore(
    tenant: str, snapshot: Path, *, idempotency_key: str | None = None
) -> Call[models.Restored]:
    """Replace everything the tenant holds by a snapshot's file, or nothing. SnapshotInvalid."""
    parse = reply(models.Restored)
    call = _change(tenant, "PUT", "/snapshot", parse, key=idempotency_key)
    headers = {**call.headers, "Content-Type": "application/octet-stream"}
    return replace(call, headers=headers, file=snapshot)


# --- tenants and keys ---------------------------------------------------------------------------


def tenants() -> Call[models.TenantNames]:
    """The tenants that this key may use."""
    return Call("GET", "/v1/tenants", reply(models.TenantNames))


def put_tenant(
    tenant: str, *, policy: Policy | None = None, quota: QuotaInput | None = None
) -> Call[models.TenantInfo]:
    """Make a tenant, or change its quota. The policy is fixed after the first write."""
    body = _given(policy=policy, quota=quota)
    return Call("PUT", tenant_path(tenant), reply(models.TenantInfo), body)


def delete_tenant(tenant: str) -> Call[None]:
    """Erase the tenant and everything in it."""
    # Not repeated after a broken connection: the second attempt would find nothing, and say so.
    return Call("DELETE", tenant_path(tenant), nothing, repeatable=False)


def keys() -> Call[models.KeyList]:
    """The keys that hold no more than this one."""
    return Call("GET", "/v1/keys", reply(models.KeyList))


def create_key(
    tenants: Sequence[str] | Literal["*"],
    scopes: Sequence[Scope],
    *,
    expires_at: float | None = None,
) -> Call[models.NewKey]:
    """Make a key. It is shown this once."""
    names = tenants if tenants == "*" else list(tenants)
    body = _given(tenants=names, scopes=list(scopes), expires_at=expires_at)
    return Call("POST", "/v1/keys", reply(models.NewKey), body, repeatable=False)


def rotate_key(id: str) -> Call[models.NewKey]:
    """Give a key a new secret, shown this once; the old one ends."""
    return Call("POST", f"/v1/keys/{_segment(id)}/rotate", reply(models.NewKey), repeatable=False)


def delete_key(id: str) -> Call[None]:
    """Revoke a key."""
    return Call("DELETE", f"/v1/keys/{_segment(id)}", nothing, repeatable=False)


def audit_page(*, after: str | None = None, limit: int = 1000) -> Call[models.AuditPage]:
    """A page of the audit log, the oldest first; `next_after` asks for the next."""
    params = _given(after=after, limit=limit)
    return Call("GET", "/v1/audit", reply(models.AuditPage), params=params)


def receipt_key() -> Call[models.ReceiptKey]:
    """The public key that receipts are checked with. Raises NoReceipts."""
    return Call("GET", "/v1/receipt-key", reply(models.ReceiptKey))


# ------------------------------------------------------------------------------------------------


def _change(
    tenant: str,
    method: str,
    rest: str,
    parse: Callable[[Any], M],
    body: Any = None,
    key: str | None = None,
) -> Call[M]:
    """A write. Its key is drawn here, once, so that every attempt carries the same."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call(method, tenant_path(tenant, rest), parse, body, headers=headers)


def tenant_path(name: str, rest: str = "") -> str:
    """The path of a tenant, and what comes below it."""
    return f"/v1/tenants/{_segment(name)}{rest}"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _given(**fields: Any) -> dict[str, Any]:
    """Only what was given: the rest is the service's own default."""
    return {name: value for name, value in fields.items() if value is not None}


def _list(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
