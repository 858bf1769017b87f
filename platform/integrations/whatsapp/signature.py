"""Proof that a webhook comes from Meta: X-Hub-Signature-256 over the raw body, and the handshake of a new address.

The app's secret signs for every tenant of the app: the tenant comes from the phone number id in the body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from lead_orchestrator.integrations.providers import SignatureError

__all__ = ["SIGNATURE_HEADER", "challenge", "verify"]

SIGNATURE_HEADER = "x-hub-signature-256"
PREFIX = "sha256="
LONGEST_CHALLENGE = 200


def verify(app_secrets: Sequence[str], body: bytes, signature: str | None) -> None:
    """Return if one of the app's active secrets signed exactly these bytes.

    Raises:
        SignatureError: not proven; its `reason` names no value.
    """
    if not signature or not signature.startswith(PREFIX):
        raise SignatureError("no signature")
    try:
        theirs = bytes.fromhex(signature.removeprefix(PREFIX))
    except ValueError:
        raise SignatureError("the signature is malformed") from None
    keys = [secret.encode() for secret in app_secrets if secret]
    if not keys:
        raise SignatureError("no app secret is configured")
    matches = [hmac.compare_digest(hmac.digest(key, body, hashlib.sha256), theirs) for key in keys]
    if not any(matches):
        raise SignatureError("signature does not match")


def challenge(verify_token: str, query: Mapping[str, str]) -> str:
    """What to answer, as plain text, when Meta asks whether this address wants its webhooks.

    Raises:
        SignatureError: the request does not know `verify_token`, or is no handshake.
    """
    if not verify_token:
        raise SignatureError("no verify token is configured")
    asked = query.get("hub.challenge", "")
    if query.get("hub.mode") != "subscribe" or not 0 < len(asked) <= LONGEST_CHALLENGE:
        raise SignatureError("the request is not a handshake")
    if not hmac.compare_digest(query.get("hub.verify_token", "").encode(), verify_token.encode()):
        raise SignatureError("the verify token does not match")
    return asked
