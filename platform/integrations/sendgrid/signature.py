"""Proof that events come from SendGrid: an ECDSA signature over the timestamp and the raw body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from sendgrid.helpers.eventwebhook import EventWebhook

from lead_orchestrator.integrations.providers import SignatureError

__all__ = ["SIGNATURE_HEADER", "TIMESTAMP_HEADER", "verify"]

SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
_TIMESTAMP = re.compile(r"[0-9]{1,11}", re.ASCII)


def verify(public_keys: Sequence[str], body: bytes, signature: str | None, timestamp: str | None) -> datetime:
    """When the batch was signed, if one of the verification keys (base64 of the SPKI, as SendGrid shows it) proves it.

    How old a signature may be is for the caller to say: SendGrid documents no limit, and repeats deliveries for a day.

    Raises:
        SignatureError: not proven; its `reason` names no value.
    """
    if not signature or not timestamp:
        raise SignatureError("no signature")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError("the timestamp is malformed")
    keys = [key for key in public_keys if key]
    if not keys:
        raise SignatureError("no verification key is configured")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureError("the body is not UTF-8") from None
    if not any(_matches(key, text, signature, timestamp) for key in keys):
        raise SignatureError("signature does not match")
    return datetime.fromtimestamp(int(timestamp), UTC)


def _matches(key: str, body: str, signature: str, timestamp: str) -> bool:
    try:
        return bool(EventWebhook(key).verify_signature(body, signature, timestamp))
    except (ValueError, TypeError):  # a signature that is no base64; a key that is none, or of another kind
        return False
