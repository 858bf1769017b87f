"""ShopMonkey's webhooks: who sent it (Standard Webhooks signatures) and what it hints at.

The body is only a hint; the API is the truth.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.providers import SignatureError

__all__ = ["OrderHint", "parse", "verify"]

TOLERANCE_SECONDS = 300.0
MOST_SIGNATURES = 32
LONGEST_ID = 200
SECRET_PREFIX = "whsec_"  # noqa: S105  # a prefix, not a secret
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrderHint:
    """What changed, as the webhook says; every field is untrusted. `version` rises with each change of the row."""

    operation: str
    table: str
    order_id: str
    location_id: str | None
    updated_date: str | None
    version: int | None


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance: float = TOLERANCE_SECONDS,
) -> None:
    """Return if one of the active secrets signed these raw bytes within `tolerance` seconds of `now` (aware).

    ShopMonkey does not say how it makes a key of the secret, so both readings are tried: its UTF-8 bytes, and what it
    decodes to as base64 (with or without `whsec_`).

    Raises:
        SignatureError: not proven; `reason` names no value.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    webhook_id, timestamp = lower.get("webhook-id", ""), lower.get("webhook-timestamp", "")
    signatures = _signatures(lower.get("webhook-signature", ""))
    if not (webhook_id and timestamp and signatures):
        raise SignatureError("a webhook-id, webhook-timestamp or v1 webhook-signature header is missing")
    if not webhook_id.isascii() or not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError("the webhook-id or webhook-timestamp header is malformed")
    if abs(now.timestamp() - int(timestamp)) > tolerance:
        raise SignatureError("the webhook-timestamp is too far from now")
    keys = [key for secret in secrets for key in _keys(secret)]
    if not keys:
        raise SignatureError("no secret is configured")
    signed = f"{webhook_id}.{timestamp}.".encode("ascii") + body
    expected = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    if not any(matches):
        raise SignatureError("no signature matches")


def parse(body: bytes) -> OrderHint | None:
    """The hint in a delivery's body; None if it is about something other than one order.

    Raises:
        BadInputError: the body is not a JSON object.
    """
    payload = _object(body)
    table, data = payload.get("table"), payload.get("data")
    if not isinstance(table, str) or table.lower() != "order" or not isinstance(data, dict):
        return None
    order_id = _text(data.get("id"))
    if order_id is None:
        return None
    meta = data.get("meta")
    return OrderHint(
        operation=(_text(payload.get("operation")) or "UPDATE").upper(),
        table="order",
        order_id=order_id,
        location_id=_text(data.get("locationId")),
        updated_date=_text(data.get("updatedDate")),
        version=_whole(meta.get("version")) if isinstance(meta, dict) else None,
    )


def _signatures(header: str) -> list[bytes]:
    found = []
    for part in header.split()[:MOST_SIGNATURES]:
        version, _, encoded = part.partition(",")
        signature = _decoded(encoded) if version == "v1" else None
        if signature:
            found.append(signature)
    return found


def _keys(secret: str) -> list[bytes]:
    bare = secret.removeprefix(SECRET_PREFIX)
    readings = {secret.encode(), bare.encode(), _decoded(bare) or b""} if bare else set()
    return sorted(key for key in readings if key)  # an empty key would let anyone sign


def _decoded(text: str) -> bytes | None:
    unpadded = text.rstrip("=")
    try:
        return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadInputError(f"the body is not UTF-8 (byte {error.start}); send JSON encoded as UTF-8") from None
    except RecursionError:
        raise BadInputError("the body is nested too deeply; send the webhook's JSON object") from None
    except ValueError as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInputError(f"the body is not JSON{place}; send the webhook's JSON object") from None
    if not isinstance(payload, dict):
        raise BadInputError(f"the body is a JSON {_kind(payload)}; send the webhook's JSON object")
    return payload


def _kind(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _text(value: object) -> str | None:
    usable = isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= LONGEST_ID
    return str(value).strip() if usable else None


def _whole(value: object) -> int | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63
    return int(value) if usable and isinstance(value, int | float) and value == int(value) else None
