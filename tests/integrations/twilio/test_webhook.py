from __future__ import annotations

import pytest

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.twilio.webhook import InboundText, StatusUpdate, parse_inbound, parse_status

TEXT = {
    "MessageSid": "SM1", "SmsSid": "SM1", "AccountSid": "AC1", "From": "+12135550101", "To": "+13105550100",
    "Body": "Stop please", "NumMedia": "2", "NumSegments": "1", "ApiVersion": "2010-04-01", "NewIn2027": "x",
}  # fmt: skip
STATUS = {
    "MessageSid": "SM1", "MessageStatus": "undelivered", "SmsSid": "SM1", "SmsStatus": "undelivered",
    "AccountSid": "AC1", "From": "+13105550100", "To": "+12135550101", "ErrorCode": "30007",
}  # fmt: skip


def pairs(form: dict[str, str], **changes: str | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in {**form, **changes}.items() if value is not None]


def test_a_text_is_read() -> None:
    assert parse_inbound(pairs(TEXT)) == InboundText(
        sid="SM1", account_sid="AC1", from_number="+12135550101", to_number="+13105550100", body="Stop please", media=2
    )


@pytest.mark.parametrize(("sent", "read"), [("STOP", "STOP"), ("help", "HELP"), ("START", "START"), ("other", None)])
def test_twilios_own_opt_out_is_named(sent: str, read: str | None) -> None:
    found = parse_inbound(pairs(TEXT, OptOutType=sent, MessagingServiceSid="MG1"))
    assert (found.opt_out_type, found.messaging_service_sid) == (read, "MG1")


def test_a_picture_alone_is_a_text_without_words() -> None:
    assert parse_inbound(pairs(TEXT, Body=None, NumMedia="1")).body == ""


def test_the_old_name_of_the_sid_will_do() -> None:
    assert parse_inbound(pairs(TEXT, MessageSid=None)).sid == "SM1"


def test_text_is_made_fit_for_the_database() -> None:
    found = parse_inbound(pairs(TEXT, Body="a\x00b\ud83d", NumMedia="9" * 40))
    assert (found.body, found.media) == ("ab?", 0)


@pytest.mark.parametrize("name", ["AccountSid", "From", "To"])
@pytest.mark.parametrize("value", [None, "", "  ", "x" * 101, "a\x00b"])
def test_a_text_that_lacks_what_every_text_has_is_refused(name: str, value: str | None) -> None:
    with pytest.raises(BadInputError, match=name):
        parse_inbound(pairs(TEXT, **{name: value}))


def test_a_status_is_read() -> None:
    assert parse_status(pairs(STATUS)) == StatusUpdate(
        sid="SM1",
        account_sid="AC1",
        status="undelivered",
        error_code=30007,
        to_number="+12135550101",
        from_number="+13105550100",
    )


@pytest.mark.parametrize("code", [None, "", "none", "0", "-1", "٣"])
def test_no_error_is_no_code(code: str | None) -> None:
    assert parse_status(pairs(STATUS, ErrorCode=code)).error_code is None


@pytest.mark.parametrize("name", ["AccountSid", "MessageStatus"])
def test_a_status_that_lacks_what_every_status_has_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match=name):
        parse_status(pairs(STATUS, **{name: "", "SmsStatus": ""}))


def test_no_number_and_no_words_show_in_a_repr() -> None:
    shown = repr(parse_inbound(pairs(TEXT))) + repr(parse_status(pairs(STATUS)))
    assert "555" not in shown
    assert "Stop" not in shown
