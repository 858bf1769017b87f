from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.shopmonkey.webhook import OrderHint, parse, verify

SECRET, BODY, STAMP = "super-secret", b'{"a":1}', 1710000000
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime.fromtimestamp(STAMP, UTC)
HEADERS = {
    "Webhook-Id": "wh_123",
    "webhook-timestamp": str(STAMP),
    "webhook-signature": "v1,cBwWLYrUaJIaurkJw1ZLA67o4dCE8pUr9TEAluK51PQ=",
}


def signature(key: bytes, body: bytes = BODY, stamp: str = str(STAMP), webhook_id: str = "wh_123") -> str:
    return base64.b64encode(hmac.digest(key, f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256)).decode()


def signed_by(key: bytes) -> dict[str, str]:
    return {**HEADERS, "webhook-signature": f"v1,{signature(key)}"}


def test_the_known_vector_verifies() -> None:
    verify([SECRET], HEADERS, BODY, NOW)


def test_a_secret_is_read_raw_and_as_base64() -> None:
    key = b"sixteen byte key"
    encoded = base64.b64encode(key).decode()
    for secret in (encoded, f"whsec_{encoded}", f"whsec_{encoded.rstrip('=')}"):
        verify([secret], signed_by(key), BODY, NOW)
        verify([secret], signed_by(secret.encode()), BODY, NOW)
    verify([f"whsec_{encoded}"], signed_by(encoded.encode()), BODY, NOW)


def test_both_secrets_of_a_rotation_are_accepted_and_any_signature_counts() -> None:
    verify(["the new one", SECRET], HEADERS, BODY, NOW)
    many = f"v1a,xyz v1,AAAA {HEADERS['webhook-signature']} v2,whatever"
    verify([SECRET], {**HEADERS, "webhook-signature": many}, BODY, NOW)


def test_the_raw_bytes_are_signed() -> None:
    body = '{"name": "Zoë \U0001f697"}'.encode() + b"\xff"
    headers = {**HEADERS, "webhook-signature": f"v1,{signature(SECRET.encode(), body)}"}
    verify([SECRET], headers, body, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": f"v2,{signature(SECRET.encode())}"},
        {"webhook-signature": signature(SECRET.encode())},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "NaN"},
        {"webhook-timestamp": "1710000000.0"},
        {"webhook-timestamp": "-1710000000"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "\u0661710000000"},
        {"webhook-timestamp": str(STAMP + 1)},
        {"Webhook-Id": ""},
        {"Webhook-Id": "wh_124"},
        {"Webhook-Id": "wh_ü"},
    ],
)
def test_a_changed_header_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        verify([SECRET], {**HEADERS, **changes}, BODY, NOW)


@pytest.mark.parametrize("missing", ["Webhook-Id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    with pytest.raises(SignatureError):
        verify([SECRET], headers, BODY, NOW)


def test_a_changed_body_or_another_secret_is_refused() -> None:
    for secrets, body in (([SECRET], BODY + b" "), (["another"], BODY), ([], BODY)):
        with pytest.raises(SignatureError):
            verify(secrets, HEADERS, body, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "====", "whsec_===="])
def test_an_empty_secret_opens_nothing(secret: str) -> None:
    with pytest.raises(SignatureError):
        verify([secret], signed_by(b""), BODY, NOW)


@pytest.mark.parametrize(("seconds", "accepted"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_delivery_is_good_for_five_minutes(seconds: int, accepted: bool) -> None:
    now = datetime.fromtimestamp(STAMP + seconds, UTC)
    if accepted:
        verify([SECRET], HEADERS, BODY, now)
        return
    with pytest.raises(SignatureError):
        verify([SECRET], HEADERS, BODY, now)


@patient
@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
def test_no_headers_crash_the_verification(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        verify([SECRET], headers, BODY, NOW)


def delivery(**data: Any) -> bytes:
    row = {
        "id": "61f9",
        "locationId": "loc-1",
        "updatedDate": "2026-11-22T10:00:00.000Z",
        "meta": {"version": 17},
        **data,
    }
    return json.dumps({"apiVersion": "3", "operation": "INSERT", "table": "order", "data": row}).encode()


def test_an_orders_delivery_becomes_a_hint() -> None:
    assert parse(delivery()) == OrderHint("INSERT", "order", "61f9", "loc-1", "2026-11-22T10:00:00.000Z", 17)


def test_what_a_hint_lacks_or_garbles_is_none() -> None:
    hint = parse(delivery(locationId=5, updatedDate=None, meta={"version": "x"}))
    assert hint == OrderHint("INSERT", "order", "61f9", None, None, None)
    assert parse(delivery(meta=[])) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"table": "customer", "data": {"id": "1"}}',
        b'{"table": "order", "data": null}',
        b'{"table": 3, "data": {"id": "1"}}',
        delivery(id=None),
        delivery(id=""),
        delivery(id="x" * 201),
        delivery(id="a\x00b"),
    ],
)
def test_a_delivery_about_no_order_is_none(body: bytes) -> None:
    assert parse(body) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "line 1, column 2"),
        (b"[]", "JSON array"),
        (b"7", "JSON number"),
        (b"\xff{}", "not UTF-8 (byte 0)"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_body_that_is_no_object_is_explained(body: bytes, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse(body)
    assert words in caught.value.message


@patient
@given(st.binary())
def test_no_body_crashes_the_parser(body: bytes) -> None:
    with suppress(BadInputError):
        parse(body)
