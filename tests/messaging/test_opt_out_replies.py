from __future__ import annotations

from dataclasses import replace

import pytest

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.opt_out import classify
from lead_orchestrator.messaging.opt_out_replies import Change, Situation, answer, answered_by_carrier

FRESH = Situation(Channel.SMS, opted_out=False, confirmed=False, carrier_answered=False, shop="Sun Shade Tint")
OUT = replace(FRESH, opted_out=True, confirmed=True)
TELEPHONE = [Channel.SMS, Channel.WHATSAPP]


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("stop!", "You are unsubscribed"),
        ("please stop texting me", "Understood: no more messages from Sun Shade Tint."),
        ("ALTO", "Hemos cancelado"),
        ("no me escriban más", "Entendido: hemos cancelado"),
    ],
)
def test_an_opt_out_is_confirmed_once_in_its_language(text: str, begins: str) -> None:
    first = answer(classify(text), FRESH)
    again = answer(classify(text), OUT)

    assert (first.change, list(first.channels)) == (Change.OPT_OUT, TELEPHONE)
    assert (first.text or "").startswith(begins)
    assert "START" in (first.text or "")
    assert (again.change, again.text) == (Change.OPT_OUT, None)


@pytest.mark.parametrize(
    ("text", "opt_out_type"),
    [("STOP", None), (" unsubscribe ", None), ("stop it now please", "STOP"), ("Alto", "STOP")],
)
def test_an_opt_out_that_the_carrier_has_answered_is_not_confirmed_by_us(text: str, opt_out_type: str | None) -> None:
    reading = classify(text)
    answered = answered_by_carrier(reading, Channel.SMS, text, opt_out_type)

    assert answered
    assert answer(reading, replace(FRESH, carrier_answered=answered)).text is None


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("stop!", Channel.SMS),
        ("opt out", Channel.SMS),
        ("alto", Channel.SMS),
        ("STOP", Channel.WHATSAPP),
        ("no", Channel.SMS),
    ],
)
def test_the_carrier_is_not_thought_to_answer_what_it_does_not_know(text: str, channel: Channel) -> None:
    assert not answered_by_carrier(classify(text), channel, text, None)


def test_an_opt_out_by_mail_ends_the_mails_and_is_not_confirmed_by_one_more() -> None:
    reply = answer(classify("unsubscribe"), replace(FRESH, channel=Channel.EMAIL))

    assert (reply.change, list(reply.channels), reply.text) == (Change.OPT_OUT, [Channel.EMAIL], None)


@pytest.mark.parametrize(
    "text",
    [
        "do not contact me again",
        "leave me alone",
        "take me off your list",
        "delete my data please, stop",
        "déjenme en paz",
        "sáquenme de su lista",
    ],
)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
def test_who_wants_to_be_left_alone_is_left_alone_on_every_channel(text: str, channel: Channel) -> None:
    assert list(answer(classify(text), replace(FRESH, channel=channel)).channels) == [*TELEPHONE, Channel.EMAIL]


def test_a_wrong_number_says_nothing_about_the_mail_address() -> None:
    assert list(answer(classify("wrong number"), FRESH).channels) == TELEPHONE


@pytest.mark.parametrize("text", ["START", "unstop", "YES", "sí"])
def test_start_or_a_yes_restores_who_opted_out_and_means_nothing_else(text: str) -> None:
    restored = answer(classify(text), OUT)

    assert (restored.change, list(restored.channels)) == (Change.RESTORE, TELEPHONE)
    assert "STOP" in (restored.text or "")
    assert answer(classify(text), replace(OUT, carrier_answered=True)).text is None
    assert answer(classify(text), FRESH).change is Change.NOTHING
    assert answer(classify(text), FRESH).text is None


def test_help_says_who_writes_how_to_reach_them_and_how_to_stop() -> None:
    with_phone = answer(classify("HELP?"), replace(FRESH, phone="+13105550100")).text or ""
    without = answer(classify("¡Ayuda!"), FRESH).text or ""

    assert all(part in with_phone for part in ("Sun Shade Tint", "+13105550100", "STOP", "rates"))
    assert "Sun Shade Tint" in without
    assert "None" not in without
    assert answer(classify("HELP"), replace(FRESH, carrier_answered=True)).text is None


@pytest.mark.parametrize("text", ["stop!", "please stop", "alto", "no me escriban", "start", "alta", "help", "ayuda"])
def test_a_reply_is_one_segment_of_the_plain_alphabet(text: str) -> None:
    now = OUT if classify(text).intent.value == "START" else FRESH
    said = answer(classify(text), replace(now, shop="Sun Shade Tint Los Angeles", phone="+13105550100")).text or ""

    assert said
    assert said.isascii()
    assert len(said) <= 160


def test_an_ordinary_message_changes_nothing_and_is_not_answered_here() -> None:
    for now in (FRESH, OUT):
        reply = answer(classify("How much for a Civic?"), now)
        assert (reply.change, reply.text) == (Change.NOTHING, None)
