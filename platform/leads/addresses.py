"""Addresses as we store them: phone numbers in E.164, mail addresses in lower case."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from lead_orchestrator.errors import BadInputError

__all__ = ["checked_email", "checked_phone", "checked_zone", "known_email", "known_phone"]

_EMAIL = re.compile(r"[^@\s<>()\[\],;:\\\"]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
_LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3


def known_phone(raw: str | None, region: str = "US") -> str | None:
    """`raw` in E.164, or None when it cannot be a phone number."""
    if not raw or len(raw) > 40:  # noqa: PLR2004 - longer than any number however it is written
        return None
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def known_email(raw: str | None) -> str | None:
    """`raw` trimmed and in lower case, or None when it cannot be a mail address."""
    address = (raw or "").strip().lower()
    usable = len(address) <= _LONGEST_EMAIL and address.isprintable() and _EMAIL.fullmatch(address)
    return address if usable else None


def checked_phone(raw: str | None, *, field: str = "phone") -> str | None:
    """As `known_phone`, but a number that cannot be one is an error.

    Raises:
        BadInputError: INVALID_PHONE.
    """
    if raw is None or not raw.strip():
        return None
    number = known_phone(raw)
    if number is None:
        message = f"{raw[:40]!r} is not a phone number: write it with its country code, as in +1 213 555 0101"
        raise BadInputError(message, code="INVALID_PHONE", field=(field,))
    return number


def checked_email(raw: str | None, *, field: str = "email") -> str | None:
    """As `known_email`, but an address that cannot be one is an error.

    Raises:
        BadInputError: INVALID_EMAIL.
    """
    if raw is None or not raw.strip():
        return None
    address = known_email(raw)
    if address is None:
        message = f"{raw[:80]!r} is not a mail address: write it as in name@example.com"
        raise BadInputError(message, code="INVALID_EMAIL", field=(field,))
    return address


def checked_zone(name: str | None, *, field: str = "timeZone") -> str | None:
    """`name` if it is an IANA time zone.

    Raises:
        BadInputError: INVALID_TIME_ZONE.
    """
    if name is None or not name.strip():
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{name[:60]!r} is not a time zone: write an IANA name, as in America/Los_Angeles"
        raise BadInputError(message, code="INVALID_TIME_ZONE", field=(field,)) from None
