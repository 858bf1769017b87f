"""Signed links for customers: they carry the tenant and the lead, so that the tenant is set before anything is looked up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lead_orchestrator.errors import NotFoundError

__all__ = ["LEAD_TICKET", "LinkSigner", "OpenedLink", "Ticket"]

LEAD_TICKET = "lead"
"""The purpose of the one-use token that whoever makes a lead is given."""

_ID, _IDS, _TAG = 16, 32, 16
_EXPIRY, _NONCE = 8, 12
_NOBODY = UUID(int=0)


@dataclass(frozen=True)
class OpenedLink:
    tenant_id: UUID
    lead_id: UUID


@dataclass(frozen=True)
class Ticket:
    """What a ticket names, `lead_id` all zeros where it is about a location only.

    Whoever takes it checks `expires_at` (real time) and that `token` was not used before.
    """

    tenant_id: UUID
    location_id: UUID
    lead_id: UUID
    expires_at: datetime
    token: str = field(repr=False)

    @property
    def digest(self) -> str:
        """What stands for the token once it was used."""
        return hashlib.sha256(self.token.encode()).hexdigest()


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

    def manage(self, tenant_id: UUID, appointment_id: UUID, nonce: bytes) -> str:
        """Where a customer moves or cancels an appointment; void once the appointment has another nonce."""
        return f"{self._public_url}/a/{self.sign('manage', tenant_id.bytes + appointment_id.bytes + nonce)}"

    def token(self, purpose: str, tenant_id: UUID, lead_id: UUID) -> str:
        body = tenant_id.bytes + lead_id.bytes
        return _encode(body + _tag(self._keys[0], purpose, body))

    def sign(self, purpose: str, body: bytes) -> str:
        """A token that carries `body`, readable by whoever has it; see `signed`."""
        return _encode(body + _tag(self._keys[0], f"signed {purpose}", body))

    def signed(self, purpose: str, token: str) -> bytes | None:
        """The body of a token that `sign` made for this purpose; None if it is not one of ours."""
        raw = _decode(token)
        body, tag = raw[:-_TAG], raw[-_TAG:]
        matches = [hmac.compare_digest(_tag(key, f"signed {purpose}", body), tag) for key in self._keys]
        return body if len(raw) >= _TAG and any(matches) else None

    def derived(self, purpose: str, body: bytes) -> bytes:
        """32 bytes that follow from `body`, always the same, and that nobody else can tell."""
        return hmac.digest(self._keys[0], f"derived {purpose}".encode() + b"\0" + body, "sha256")

    def ticket(
        self, purpose: str, tenant_id: UUID, location_id: UUID, expires_at: datetime, lead_id: UUID = _NOBODY
    ) -> str:
        """A token for one use until `expires_at`, another one each time; it is no link's token.

        It is sealed: an id tells when its row was made, and so whether a lead was known before.
        """
        expiry = int(expires_at.timestamp()).to_bytes(_EXPIRY, "big")
        body, nonce = tenant_id.bytes + location_id.bytes + lead_id.bytes + expiry, secrets.token_bytes(_NONCE)
        return _encode(nonce + _sealing(self._keys[0]).encrypt(nonce, body, purpose.encode()))

    def open_ticket(self, purpose: str, token: str) -> Ticket:
        """What the ticket names.

        Raises:
            NotFoundError: it is not one of ours, or is for another purpose.
        """
        raw = _decode(token)
        bodies = [_unsealed(key, raw, purpose) for key in self._keys]
        body = next((body for body in bodies if body is not None), b"")
        if len(body) != 3 * _ID + _EXPIRY:
            raise NotFoundError("this token is not valid: use the one you were given")
        tenant_id, location_id, lead_id = [UUID(bytes=body[at : at + _ID]) for at in range(0, 3 * _ID, _ID)]
        expires_at = datetime.fromtimestamp(int.from_bytes(body[3 * _ID :], "big"), UTC)
        return Ticket(tenant_id, location_id, lead_id, expires_at, _encode(raw))

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
    return hmac.digest(key, purpose.encode() + b"\0" + body, "sha256")[:_TAG]


def _sealing(key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, b"tickets", "sha256"))


def _unsealed(key: bytes, raw: bytes, purpose: str) -> bytes | None:
    """None if it was not sealed with this key for this purpose."""
    try:
        return _sealing(key).decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode())
    except (InvalidTag, ValueError):
        return None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
