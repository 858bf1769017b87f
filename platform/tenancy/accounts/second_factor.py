"""The second factor: six digits of an authenticator (RFC 6238), or one of the recovery codes. Each is good once."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyotp
from pyotp.totp import TOTP

from lead_orchestrator.tenancy.secrets import token_hash

__all__ = ["Enrolment", "begin", "recovery_codes", "recovery_hash", "step_of"]

ISSUER = "Lead Orchestrator"
STEP = 30
_DIGITS = re.compile("[0-9]{6}")
_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Enrolment:
    """What the authenticator is told; `uri` is what its QR code says."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def begin(account: str) -> Enrolment:
    """A new secret for this account."""
    secret = pyotp.random_base32()
    return Enrolment(secret, TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER))


def step_of(secret: str, code: str, at: float, last: int | None) -> int | None:
    """The step of time that `code` belongs to: this one, the one before or the one after, and later than `last`.

    None if it belongs to none of them. `at` is in seconds since 1970.
    """
    if not _DIGITS.fullmatch(code):
        return None
    now, totp = int(at) // STEP, TOTP(secret)
    matching = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(totp.at(step * STEP), code)]
    fresh = [step for step in matching if last is None or step > last]
    return max(fresh, default=None)


def recovery_codes() -> Sequence[str]:
    """Ten codes, each of 49 random bits, to be shown once."""
    return ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(_CODES)]


def recovery_hash(code: str) -> bytes:
    """What is kept of a code, however it is written."""
    return token_hash(re.sub("[^a-z0-9]", "", code.lower()))
