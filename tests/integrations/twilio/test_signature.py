from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.twilio.signature import public_address, verify

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
# Twilio's published example: the signature below belongs to exactly these values.
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def signed(text: str) -> str:
    return base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), hashlib.sha1)).decode()


def test_twilios_own_example_verifies_in_any_order() -> None:
    verify([TOKEN], URL, FORM, SIGNATURE)
    verify(["an older token", TOKEN], URL, FORM[::-1], SIGNATURE)


def test_the_address_with_its_port_verifies_too() -> None:
    verify([TOKEN], "https://mycompany.com:443/myapp.php?foo=1&bar=2", FORM, SIGNATURE)


@pytest.mark.parametrize(
    ("tokens", "url", "form", "signature"),
    [
        (["54321"], URL, FORM, SIGNATURE),
        ([""], URL, FORM, SIGNATURE),
        ([], URL, FORM, SIGNATURE),
        ([TOKEN], URL.replace("mycompany", "yourcompany"), FORM, SIGNATURE),
        ([TOKEN], URL, [*FORM, ("Body", "STOP")], SIGNATURE),
        ([TOKEN], URL, [(name, value.strip("+")) for name, value in FORM], SIGNATURE),
        ([TOKEN], URL, FORM, None),
        ([TOKEN], URL, FORM, ""),
        ([TOKEN], URL, FORM, "é" * 28),
        ([TOKEN], URL, FORM, SIGNATURE[:-2]),
    ],
)
def test_anything_else_is_refused(
    tokens: list[str], url: str, form: list[tuple[str, str]], signature: str | None
) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(tokens, url, form, signature)
    assert caught.value.http_status == 401


def test_a_repeated_name_verifies_signed_once_or_as_often_as_sent() -> None:
    form = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]
    verify([TOKEN], URL, form, signed(URL + "MediaUrlaMediaUrlb"))
    verify([TOKEN], URL, form, signed(URL + "MediaUrlbMediaUrlaMediaUrlb"))
    with pytest.raises(SignatureError):
        verify([TOKEN], URL, form, signed(URL + "MediaUrlb"))


def test_an_empty_token_opens_nothing() -> None:
    forged = base64.b64encode(hmac.digest(b"", (URL + "Tox").encode(), hashlib.sha1)).decode()
    for tokens in ([""], ["", TOKEN]):
        with pytest.raises(SignatureError):
            verify(tokens, URL, [("To", "x")], forged)


def test_an_empty_value_is_signed_as_well() -> None:
    verify([TOKEN], URL, [("Body", ""), ("To", "x")], signed(URL + "BodyTox"))


def test_the_public_address_comes_from_the_settings() -> None:
    assert public_address("https://api.example.com/", "/webhooks/twilio/sms") == (
        "https://api.example.com/webhooks/twilio/sms"
    )
    assert public_address("https://api.example.com", "/s", "m=1&t=2") == "https://api.example.com/s?m=1&t=2"
