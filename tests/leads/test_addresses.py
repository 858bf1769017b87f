from __future__ import annotations

from collections.abc import Callable

import pytest

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.addresses import checked_email, checked_phone, checked_zone, known_email, known_phone

SPELLINGS = (
    "+12135550101",
    "2135550101",
    "12135550101",
    "(213) 555-0101",
    "213.555.0101",
    " +1 213 555 0101 ",
    "tel:+1-213-555-0101",
    "+1 (213) 555-0101",
    "\uff0b1\uff12\uff11\uff13\uff15\uff15\uff15\uff10\uff11\uff10\uff11",
)


@pytest.mark.parametrize("raw", SPELLINGS)
def test_a_number_has_one_form_however_it_is_written(raw: str) -> None:
    assert known_phone(raw) == "+12135550101"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "   ",
        "555",
        "call me",
        "213555010",
        "+1213555010111111",
        "2135550101 ext. 5",
        "1" * 41,
        "\u0000",
        "+",
        "+999999999999",
    ],
)
def test_what_cannot_be_a_number_is_none(raw: str | None) -> None:
    assert known_phone(raw) is None


def test_a_number_of_another_country_is_read_with_its_region() -> None:
    assert known_phone("020 7946 0018", "GB") == "+442079460018"


@pytest.mark.parametrize("raw", ["ada@example.com", " Ada@Example.COM ", "ADA@EXAMPLE.com\n"])
def test_a_mail_address_has_one_form(raw: str) -> None:
    assert known_email(raw) == "ada@example.com"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "a da@example.com",
        "ada@exa mple.com",
        "ada@example.com, eve@example.com",
        "ada@example.com\nBcc: eve@example.com",
        "a\u0000da@example.com",
        "a\u0001da@example.com",
        "a\u202eda@example.com",
        "Ada <ada@example.com>",
        "a" * 65 + "@example.com",
        "ada@" + "x" * 250 + ".com",
        "ada@-example.com",
        "ada@example..com",
    ],
)
def test_what_cannot_be_a_mail_address_is_none(raw: str | None) -> None:
    assert known_email(raw) is None


@pytest.mark.parametrize(
    ("check", "raw", "code"),
    [
        (checked_phone, "five five five", "INVALID_PHONE"),
        (checked_email, "ada at example", "INVALID_EMAIL"),
        (checked_email, "a\u0000@example.com", "INVALID_EMAIL"),
        (checked_zone, "Pacific", "INVALID_TIME_ZONE"),
        (checked_zone, "../../etc/passwd", "INVALID_TIME_ZONE"),
        (checked_zone, "America", "INVALID_TIME_ZONE"),
        (checked_zone, "\u0000", "INVALID_TIME_ZONE"),
        (checked_zone, "x" * 5000, "INVALID_TIME_ZONE"),
    ],
)
def test_bad_input_is_named(check: Callable[[str], str | None], raw: str, code: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check(raw)

    assert caught.value.code == code
    assert repr(raw[:20])[1:10] in caught.value.message


@pytest.mark.parametrize("check", [checked_phone, checked_email, checked_zone])
@pytest.mark.parametrize("raw", [None, "", "  "])
def test_nothing_is_nothing(check: Callable[[str | None], str | None], raw: str | None) -> None:
    assert check(raw) is None


def test_a_zone_is_kept_as_it_is() -> None:
    assert checked_zone("America/Los_Angeles") == "America/Los_Angeles"
