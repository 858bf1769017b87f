"""Signed links for customers: they carry the tenant and the lead, so that the tenant is set before anything is looked up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lead_orchestrator.errors import NotFoundError

__all__ = ["LinkSigner", "OpenedLink"]

_IDS, _TAG = 32, 16


@dataclass(frozen=True)
class OpenedLink:
    tenant_id: UUID
    lead_id: UUID


class LinkSigner:
    """Makes and opens links such as `https://…/c/<token>`; `purpose` keeps a chat link from unsubscribing anybody.

    `keys` are those of SECRETS_KEY, newest first: new links are signed with the newest, older ones still open.
    """

    def __init__(self, keys: Sequence[str], public_url: str) -> None:
        self._keys = [_derive(key) for key in keys]
        self._public_url = public_url.rstrip("/")

    def chat(self, tenant_id: UUID, lead_id: UUID) -> str:
        """Where this lead reaches the shop."""
        return f"{self._public_url}/c/{self.token('chat', tenant_id, lead_id)}"

    def unsubscribe(self, tenant_id: UUID, lead_id: UUID) -> str:
        """Where this lead's mail address ends its subscription (RFC 8058: a POST does it, a GET shows a page)."""
        return f"{self._public_url}/u/{self.token('unsubscribe', tenant_id, lead_id)}"

    def token(self, purpose: str, tenant_id: UUID, lead_id: UUID) -> str:
        body = tenant_id.bytes + lead_id.bytes
        return _encode(body + _tag(self._keys[0], purpose, body))

    def open(self, purpose: str, token: str) -> OpenedLink:
        """What the token names.

        Raises:
            NotFoundError: it is not one of ours, or is for another purpose.
        """
        raw = _decode(token)
        body, tag = raw[:_IDS], raw[_IDS:]
        matches = [hmac.compare_digest(_tag(key, purpose, body), tag) for key in self._keys]
        if len(raw) != _IDS + _TAG or not any(matches):
            raise NotFoundError("this link is not valid: use the newest one you received")
        return OpenedLink(UUID(bytes=body[:16]), UUID(bytes=body[16:]))


def _derive(key: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"lead-orchestrator customer links").derive(key.strip().encode())


def _tag(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + body, hashlib.sha256)[:_TAG]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
