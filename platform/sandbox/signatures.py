"""How each service signs what it sends, written from its documentation and shared with nobody."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = [
    "sendgrid_public_key",
    "sign_meta_webhook",
    "sign_sendgrid_events",
    "sign_standard_webhook",
    "sign_twilio_request",
]


def sign_standard_webhook(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header; a secret that starts with `whsec_` is base64, any other plain UTF-8."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_webhook_key(secret), signed, hashlib.sha256)).decode()


def _webhook_key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return secret.encode()


def sign_twilio_request(auth_token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """The `X-Twilio-Signature` header of a form posted to `url` (the full one, with its query)."""
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    # Twilio's scheme is HMAC-SHA1
    return base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)).decode()


def sign_sendgrid_events(key: ec.EllipticCurvePrivateKey, timestamp: str, body: bytes) -> str:
    """The `X-Twilio-Email-Event-Webhook-Signature` header: base64 DER ECDSA-SHA256 over timestamp and raw body."""
    return base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()


def sendgrid_public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """The verification key as SendGrid's settings show it: base64 of the SPKI DER."""
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(spki).decode()


def sign_meta_webhook(app_secret: str, body: bytes) -> str:
    """The `X-Hub-Signature-256` header: hex HMAC-SHA256 of the raw body."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, hashlib.sha256).hex()
