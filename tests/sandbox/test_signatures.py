from __future__ import annotations

import base64
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from sendgrid.helpers.eventwebhook import EventWebhook
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed

from lead_orchestrator.sandbox.signatures import (
    sendgrid_public_key,
    sign_sendgrid_events,
    sign_standard_webhook,
    sign_twilio_request,
)


def test_a_plain_webhook_secret_signs_as_the_known_vector() -> None:
    signature = sign_standard_webhook("super-secret", "wh_123", 1710000000, b'{"a":1}')

    assert signature == "v1,cBwWLYrUaJIaurkJw1ZLA67o4dCE8pUr9TEAluK51PQ="


def test_a_whsec_webhook_secret_signs_as_the_standard_library_verifies() -> None:
    secret = "whsec_" + base64.b64encode(b"24 bytes of a demo key!!").decode()
    now = int(datetime.now(UTC).timestamp())

    signature = sign_standard_webhook(secret, "wh_1", now, '{"name":"Zoë"}'.encode())

    headers = {"webhook-id": "wh_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert Webhook(secret).verify('{"name":"Zoë"}', headers) == {"name": "Zoë"}


def test_a_twilio_form_signs_as_the_known_vector() -> None:
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"

    signature = sign_twilio_request("12345", url, params.items())

    assert signature == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert RequestValidator("12345").validate(url, params, signature)


def test_sendgrid_events_sign_as_its_library_verifies() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    body = '[{"event":"delivered","note":"Zoë"}]'

    signature = sign_sendgrid_events(key, "1710000000", body.encode())

    verifier = EventWebhook(sendgrid_public_key(key))
    assert verifier.verify_signature(body, signature, "1710000000")
    assert not verifier.verify_signature(body, signature, "1710000001")
