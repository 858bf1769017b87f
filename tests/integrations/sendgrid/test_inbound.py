from __future__ import annotations

import json

import pytest

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.sendgrid.inbound import InboundMail, parse

HEADERS = (
    "Received: by mx.sendgrid.net\r\nFrom: Ann Lee <Ann@example.com>\r\nSubject: Re: Your quote\r\n"
    "Message-ID: <a1@mail.example.com>\r\nIn-Reply-To: <q2@sunshade.example.com>\r\n"
    "References: <q1@sunshade.example.com>\r\n <q2@sunshade.example.com>\r\n"
)


def mail(**changes: str) -> InboundMail:
    fields = {
        "headers": HEADERS,
        "from": "Ann Lee <Ann@example.com>",
        "to": '"Sun Shade" <quotes@sunshade.example.com>',
        "subject": "Re: Your\r\n quote",
        "text": "Tomorrow at ten?",
        "html": "<p>Tomorrow at ten?</p>",
        "envelope": '{"to":["reply+abc@in.example.com"],"from":"bounce@example.com"}',
        "charsets": '{"to":"UTF-8","subject":"UTF-8","from":"UTF-8","text":"utf-8"}',
        **changes,
    }
    return parse(fields)


def test_a_mail_is_read_with_who_wrote_it_and_where_it_went() -> None:
    found = mail()

    assert (found.sender, found.sender_name) == ("ann@example.com", "Ann Lee")
    assert found.to == ("reply+abc@in.example.com",)
    assert (found.subject, found.text, found.html) == ("Re: Your quote", "Tomorrow at ten?", "<p>Tomorrow at ten?</p>")
    assert found.message_id == "<a1@mail.example.com>"
    assert not found.automatic


def test_without_an_envelope_the_to_line_counts() -> None:
    assert mail(envelope="").to == ("quotes@sunshade.example.com",)


def test_without_a_usable_from_line_the_envelope_counts() -> None:
    assert mail(**{"from": "undisclosed"}).sender == "bounce@example.com"


@pytest.mark.parametrize(
    "line",
    ["Auto-Submitted: auto-replied", "Precedence: bulk", "X-Autoreply: yes", "Return-Path: <>",
     "X-Auto-Response-Suppress: All", "Auto-Submitted: auto-generated; owner-token=x"],
)  # fmt: skip
def test_a_machines_mail_is_told_apart(line: str) -> None:
    assert mail(headers=HEADERS + line + "\r\n").automatic


def test_a_person_may_say_that_no_machine_wrote_it() -> None:
    assert not mail(headers=HEADERS + "Auto-Submitted: no\r\n").automatic


@pytest.mark.parametrize(
    ("charset", "text"), [("iso-8859-1", "Zoë"), ("windows-1252", "price 10 €"), ("gb2312", "明天")]
)
def test_other_charsets_are_decoded(charset: str, text: str) -> None:
    # the form's reader takes bytes that are no UTF-8 for Latin-1
    assert mail(text=text.encode(charset).decode("latin-1"), charsets=json.dumps({"text": charset})).text == text


@pytest.mark.parametrize("charset", ["utf-8", "no such", None, 7, "UTF_8"])
def test_utf8_and_nonsense_leave_the_text_alone(charset: object) -> None:
    assert mail(text="Zoë, 明天", charsets=json.dumps({"text": charset})).text == "Zoë, 明天"


def test_odd_parts_are_left_out() -> None:
    found = mail(headers="\x00no header", charsets="[", html="", text="a\x00b")
    assert (dict(found.headers).get("from"), found.html, found.text) == (None, None, "ab")
    assert found.message_id is None


@pytest.mark.parametrize("envelope", ['{"to":[],"from":"x@example.com"}', '{"to":["nobody"]}', '{"to":[7,null]}'])
def test_a_mail_to_nobody_is_refused(envelope: str) -> None:
    with pytest.raises(BadInputError):
        mail(envelope=envelope)


@pytest.mark.parametrize("sender", ["", "nobody", "a b@example.com", "@example.com", "ann@", "ann@localhost"])
def test_a_mail_from_nobody_is_refused(sender: str) -> None:
    with pytest.raises(BadInputError):
        mail(**{"from": sender, "envelope": '{"to":["a@in.example.com"]}'})


def test_nothing_of_a_mail_shows_in_its_repr() -> None:
    assert repr(mail()) == "InboundMail()"
