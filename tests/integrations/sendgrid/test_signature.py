from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.sendgrid.signature import verify

# SendGrid's published example, of its client libraries
KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
TIMESTAMP = "1600112502"
BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)


def spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, form)).decode()


def test_the_published_example_is_proven_and_dated() -> None:
    assert verify([KEY], BODY, SIGNATURE, TIMESTAMP) == datetime.fromtimestamp(1600112502, UTC)


def test_any_active_key_proves() -> None:
    other = spki(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert verify([other, "", KEY], BODY, SIGNATURE, TIMESTAMP)


def test_the_raw_bytes_count() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    body = '[{"note":"Zoë"}]'.encode()
    signature = base64.b64encode(key.sign(b"1700000000" + body, ec.ECDSA(hashes.SHA256()))).decode()
    verify([spki(key.public_key())], body, signature, "1700000000")
    with pytest.raises(SignatureError):
        verify([spki(key.public_key())], b'[{"note":"Zo\\u00eb"}]', signature, "1700000000")


@pytest.mark.parametrize(
    ("keys", "body", "signature", "timestamp"),
    [
        ([KEY], BODY, None, TIMESTAMP),
        ([KEY], BODY, SIGNATURE, None),
        ([KEY], BODY, "", TIMESTAMP),
        ([KEY], BODY, "not base64 at all!", TIMESTAMP),
        ([KEY], BODY, "AAA", TIMESTAMP),
        ([KEY], BODY, "é", TIMESTAMP),
        ([KEY], BODY, base64.b64encode(b"no DER").decode(), TIMESTAMP),
        ([KEY], BODY, SIGNATURE, "1600112503"),
        ([KEY], BODY, SIGNATURE, "-1"),
        ([KEY], BODY, SIGNATURE, "soon"),
        ([KEY], BODY, SIGNATURE, "9" * 30),
        ([KEY], BODY + b" ", SIGNATURE, TIMESTAMP),
        ([KEY], b"\xff" + BODY, SIGNATURE, TIMESTAMP),
        ([], BODY, SIGNATURE, TIMESTAMP),
        ([""], BODY, SIGNATURE, TIMESTAMP),
        (["no key"], BODY, SIGNATURE, TIMESTAMP),
        ([spki(ec.generate_private_key(ec.SECP256R1()).public_key())], BODY, SIGNATURE, TIMESTAMP),
        ([spki(rsa.generate_private_key(65537, 2048).public_key())], BODY, SIGNATURE, TIMESTAMP),
    ],
)
def test_anything_else_proves_nothing(
    keys: list[str], body: bytes, signature: str | None, timestamp: str | None
) -> None:
    with pytest.raises(SignatureError):
        verify(keys, body, signature, timestamp)
