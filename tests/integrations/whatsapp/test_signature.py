from __future__ import annotations

import hashlib
import hmac

import pytest

from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.whatsapp.signature import challenge, verify

# RFC 4231's second vector for HMAC-SHA256
KEY, DATA = "Jefe", b"what do ya want for nothing?"
SIGNATURE = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
HANDSHAKE = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "1158201444"}


def test_the_known_vector_is_proven() -> None:
    verify([KEY], DATA, SIGNATURE)


def test_any_active_secret_proves() -> None:
    verify(["new", "", KEY], DATA, SIGNATURE)


def test_the_raw_bytes_count_not_their_meaning() -> None:
    escaped, plain = b'{"body":"caf\\u00e9"}', '{"body":"café"}'.encode()
    signature = "sha256=" + hmac.digest(b"s", escaped, hashlib.sha256).hex()
    verify(["s"], escaped, signature)
    with pytest.raises(SignatureError):
        verify(["s"], plain, signature)


@pytest.mark.parametrize(
    ("secrets", "signature"),
    [
        ([KEY], None),
        ([KEY], ""),
        ([KEY], "sha256="),
        ([KEY], SIGNATURE.removeprefix("sha256=")),
        ([KEY], "sha1=" + SIGNATURE.removeprefix("sha256=")),
        ([KEY], "sha256=zz"),
        ([KEY], SIGNATURE[:-2]),
        ([KEY], SIGNATURE[:-1] + "4"),
        ([KEY], "sha256=é"),
        (["other"], SIGNATURE),
        ([], SIGNATURE),
        ([""], "sha256=" + hmac.digest(b"", DATA, hashlib.sha256).hex()),
    ],
)
def test_anything_else_proves_nothing(secrets: list[str], signature: str | None) -> None:
    with pytest.raises(SignatureError):
        verify(secrets, DATA, signature)


def test_the_handshake_gives_the_challenge_back() -> None:
    assert challenge("token", HANDSHAKE) == "1158201444"


@pytest.mark.parametrize(
    ("token", "changes"),
    [
        ("other", {}),
        ("", {"hub.verify_token": ""}),
        ("token", {"hub.verify_token": "tökén"}),
        ("token", {"hub.mode": "unsubscribe"}),
        ("token", {"hub.challenge": ""}),
        ("token", {"hub.challenge": "1" * 201}),
    ],
)
def test_a_stranger_gets_no_challenge(token: str, changes: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        challenge(token, {**HANDSHAKE, **changes})
