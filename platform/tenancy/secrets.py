"""Tenants' secrets at rest, and keyed hashes of what is looked up but not kept.

The keys are Fernet keys, newest first. The newest seals; each of them opens. **The last one is the anchor**: the
address hashes are derived from it, so that they stay the same when a newer key is put in front. To rotate: put a new
key in front, seal every secret again with `rotate`, then take out the keys in between if you like, but leave the anchor
last for good: without it no opt-out would be recognised again. `anchor_fingerprint` is safe to store; compare it at
start to notice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lead_orchestrator.errors import AppError, ConfigurationError

__all__ = ["SecretBox", "SecretError", "SecretOpener", "generate_key", "new_token", "token_hash"]


class SecretError(AppError):
    """A stored secret cannot be opened: it is damaged, its key is gone, or it belongs to another tenant or field."""

    code = "SECRET_UNREADABLE"

    def __init__(self, field: str) -> None:
        super().__init__(f"the stored {field} cannot be opened; enter it again")


class SecretOpener(Protocol):
    """The part of a SecretBox that whoever only reads secrets is handed."""

    def open(self, tenant_id: UUID, field: str, sealed: bytes) -> str: ...


class SecretBox:
    """Seals secrets for one tenant and field each.

    Raises:
        ConfigurationError: there is no key, or one of them is not a Fernet key (it is named by its place, not shown).
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigurationError("there is no key to encrypt the tenants' secrets with; set SECRETS_KEY")
        raw = [_raw(key, place) for place, key in enumerate(keys, start=1)]
        fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in raw]
        self._fernet, self._newest = MultiFernet(fernets), fernets[0]
        self._hash_key = _derived(raw[-1], b"lead-orchestrator address hash v1")
        self._fingerprint = _derived(raw[-1], b"lead-orchestrator anchor fingerprint v1")[:8].hex()

    @property
    def anchor_fingerprint(self) -> str:
        """16 hex digits that change when the address hashes would; it tells nothing about the key."""
        return self._fingerprint

    def seal(self, tenant_id: UUID, field: str, value: str) -> bytes:
        """Encrypt `value` so that it opens for this tenant and field only."""
        return self._fernet.encrypt(json.dumps({"tenant": str(tenant_id), "field": field, "value": value}).encode())

    def open(self, tenant_id: UUID, field: str, sealed: bytes) -> str:
        """The value sealed for this tenant and field.

        Raises:
            SecretError: it does not open, or was sealed for another tenant or field.
        """
        try:
            content = json.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError, TypeError):
            raise SecretError(field) from None
        if not isinstance(content, dict) or (content.get("tenant"), content.get("field")) != (str(tenant_id), field):
            raise SecretError(field)
        value = content.get("value")
        if not isinstance(value, str):
            raise SecretError(field)
        return value

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it."""
        try:
            self._newest.decrypt(sealed)
        except (InvalidToken, TypeError):
            return False
        return True

    def rotate(self, sealed: bytes) -> bytes:
        """The same secret sealed with the newest key.

        Raises:
            SecretError: none of the keys opens it.
        """
        try:
            return self._fernet.rotate(sealed)
        except (InvalidToken, TypeError):
            raise SecretError("secret") from None

    def address_hash(self, tenant_id: UUID, kind: str, address: str) -> bytes:
        """32 bytes that stand for a normalised address of one kind (`phone`, `email`) within one tenant.

        The same address of two tenants has two hashes. Normalise first: only equal texts have equal hashes.
        """
        named = json.dumps([str(tenant_id), kind, address])
        return hmac.digest(self._hash_key, named.encode(), hashlib.sha256)


def generate_key() -> str:
    """A new key for SECRETS_KEY."""
    return Fernet.generate_key().decode("ascii")


def new_token() -> str:
    """A random token of 256 bits for links and cookies; store its `token_hash` only."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a random token: 32 bytes. Not for passwords, which are not random."""
    return hashlib.sha256(token.encode()).digest()


def _raw(key: str, place: int) -> bytes:
    try:
        raw = base64.b64decode(key.strip().encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:  # noqa: PLR2004  # Fernet's key length
        raise ConfigurationError(f"SECRETS_KEY number {place} is not a Fernet key (32 bytes, base64url)")
    return raw


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
