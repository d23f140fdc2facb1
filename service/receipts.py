"""Proof of an erasure: what was erased, when, between which versions, signed with Ed25519.

The payload is a string of JSON, signed as it stands, so that nobody has to agree on how to write
JSON. Whoever has the public key can check it without the service. (RFC 8032)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.settings import Settings, SettingsError

KIND = "larimar.erasure"


class ReceiptError(Exception):
    """The receipt is not one, or its signature is not the key's."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`signature` is base64 over the UTF-8 bytes of `payload`."""

    payload: str
    signature: str
    key_id: str


class Signer:
    """Signs receipts with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    def public_key(self) -> str:
        """In PEM."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def sign(self, tenant: str, ids: Sequence[str], before: int, after: int) -> Receipt:
        """The receipt of one erasure, as of now."""
        payload = json.dumps(
            {
                "kind": KIND,
                "tenant": tenant,
                "ids": list(ids),
                "version_before": before,
                "version_after": after,
                "time": datetime.now(UTC).isoformat(),
            }
        )
        signature = base64.b64encode(self._key.sign(payload.encode())).decode()
        return Receipt(payload, signature, self.key_id)


def verify(payload: str, signature: str, public_key: str) -> dict[str, Any]:
    """The payload as an object. Raises ReceiptError."""
    try:
        key = serialization.load_pem_public_key(public_key.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ReceiptError("the public key is not an Ed25519 key")
        key.verify(base64.b64decode(signature, validate=True), payload.encode())
        found: dict[str, Any] = json.loads(payload)
    except InvalidSignature:
        raise ReceiptError("the signature does not match") from None
    except (ValueError, binascii.Error) as exc:
        raise ReceiptError(f"not a receipt or not a key: {exc}") from None
    if found.get("kind") != KIND:
        raise ReceiptError("signed, but not a receipt of an erasure")
    return found


def key_id(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def signer(settings: Settings) -> Signer | None:
    """From LARIMAR_RECEIPT_KEY_FILE, or the embedded start's own file; else there is none."""
    if settings.receipt_key_file is not None:
        return Signer(_load(settings.receipt_key_file))
    if settings.redis_url is not None:
        return None
    path = settings.data_path / "receipt.key"
    if not path.exists():
        _make(path)
    return Signer(_load(path))


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise SettingsError(f"LARIMAR_RECEIPT_KEY_FILE cannot be read: {exc}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("LARIMAR_RECEIPT_KEY_FILE must hold an Ed25519 key in PEM")
    return key
