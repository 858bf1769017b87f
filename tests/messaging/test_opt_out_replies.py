from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lead_orchestrator.leads.models import Channel, MessageKind
from lead_orchestrator.messaging.opt_out import classify
from lead_orchestrator.messaging.opt_out_replies import (
    CONFIRM_WITHIN,
    Change,
    Situation,
    answer,
    answered_by_carrier,
    ended,
)
from lead_orchestrator.messaging.templates.defaults import built_in
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.touches.templates import render, segments

FRESH = Situation(Channel.SMS, opted_out=False, carrier_answered=False)
OUT = replace(FRESH, opted_out=True)
TELEPHONE = [Channel.SMS, Channel.WHATSAPP]
EVERY = [*TELEPHONE, Channel.EMAIL]


@pytest.mark.parametrize("text", ["stop!", "please stop texting me", "ALTO", "no me escriban más"])
@pytest.mark.parametrize("channel", TELEPHONE)
def test_an_opt_out_is_confirmed_once(text: str, channel: Channel) -> None:
    first = answer(classify(text), replace(FRESH, channel=channel))
    again = answer(classify(text), replace(OUT, channel=channel))

    assert (first.change, first.variant) == (Change.OPT_OUT, TemplateVariant.OPTED_OUT)
    assert (again.change, again.variant) == (Change.OPT_OUT, None)


@pytest.mark.parametrize(
    ("waited", "confirmed"),
    [(CONFIRM_WITHIN - timedelta(seconds=1), True), (CONFIRM_WITHIN, False), (timedelta(hours=3), False)],
)
def test_an_opt_out_that_is_read_five_minutes_late_counts_and_is_not_confirmed(
    waited: timedelta, confirmed: bool
) -> None:
    late = answer(classify("please stop"), replace(FRESH, waited=waited))

    assert (late.change, late.variant is not None) == (Change.OPT_OUT, confirmed)


@pytest.mark.parametrize(
    ("text", "opt_out_type"),
    [("STOP", None), (" unsubscribe ", None), ("stop it now please", "STOP"), ("Alto", "STOP")],
)
def test_an_opt_out_that_the_carrier_has_answered_is_not_confirmed_by_us(text: str, opt_out_type: str | None) -> None:
    reading = classify(text)
    answered = answered_by_carrier(reading, Channel.SMS, text, opt_out_type)

    assert answered
    assert answer(reading, replace(FRESH, carrier_answered=answered)).variant is None


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


def test_an_opt_out_by_mail_is_not_confirmed_by_one_more() -> None:
    reply = answer(classify("unsubscribe"), replace(FRESH, channel=Channel.EMAIL))

    assert (reply.change, reply.variant) == (Change.OPT_OUT, None)


@pytest.mark.parametrize(
    "text",
    ["STOP", "do not contact me again", "please stop texting me", "déjenme en paz", "sáquenme de su lista", "baja"],
)
@pytest.mark.parametrize("channel", EVERY)
def test_who_asks_us_to_stop_is_left_alone_on_every_channel(text: str, channel: Channel) -> None:
    assert list(answer(classify(text), replace(FRESH, channel=channel)).channels) == EVERY


@pytest.mark.parametrize("text", ["wrong number", "Wrong number, stop texting me", "número equivocado"])
def test_a_wrong_address_says_nothing_about_the_persons_other_ones(text: str) -> None:
    assert list(answer(classify(text), FRESH).channels) == TELEPHONE
    assert list(answer(classify(text), replace(FRESH, channel=Channel.EMAIL)).channels) == [Channel.EMAIL]


def test_what_only_the_provider_knows_is_about_its_own_address() -> None:
    assert [list(ended(channel, None)) for channel in EVERY] == [TELEPHONE, [Channel.WHATSAPP], [Channel.EMAIL]]


@pytest.mark.parametrize("text", ["START", "unstop", "YES", "sí"])
def test_start_or_a_yes_restores_who_opted_out_and_means_nothing_else(text: str) -> None:
    restored = answer(classify(text), OUT)

    assert (restored.change, list(restored.channels)) == (Change.RESTORE, TELEPHONE)
    assert restored.variant is TemplateVariant.OPTED_IN
    assert answer(classify(text), replace(OUT, carrier_answered=True)).variant is None
    assert answer(classify(text), FRESH).change is Change.NOTHING
    assert answer(classify(text), FRESH).variant is None


def test_a_start_by_mail_restores_the_mails_and_a_yes_there_is_an_answer() -> None:
    by_mail = replace(OUT, channel=Channel.EMAIL)

    restored = answer(classify("START"), by_mail)

    assert (restored.change, list(restored.channels), restored.variant) == (Change.RESTORE, [Channel.EMAIL], None)
    assert answer(classify("Yes"), by_mail).change is Change.NOTHING


@pytest.mark.parametrize("text", ["HELP?", "¡Ayuda!"])
def test_help_is_answered_once_and_not_to_who_opted_out(text: str) -> None:
    assert answer(classify(text), FRESH).variant is TemplateVariant.HELP
    assert answer(classify(text), replace(FRESH, carrier_answered=True)).variant is None
    assert answer(classify(text), OUT).variant is None


@pytest.mark.parametrize("variant", [TemplateVariant.OPTED_OUT, TemplateVariant.OPTED_IN, TemplateVariant.HELP])
@pytest.mark.parametrize("phone", ["+13105550100", ""])
def test_what_we_say_is_one_segment_in_the_persons_language(variant: TemplateVariant, phone: str) -> None:
    values = {"shop_name": "Sun Shade Window Tint of Los Angeles W", "shop_phone": phone}
    texts = [
        render(built_in(MessageKind.REPLY, variant, channel, classify(text).language).body, values)
        for text in ("help", "ayuda")
        for channel in TELEPHONE
    ]

    english, spanish = texts[0], texts[2]
    assert texts == [english] * 2 + [spanish] * 2
    assert english != spanish
    for text in (english, spanish):
        assert segments(text) == ("GSM-7", 1)
        assert values["shop_name"] in text
        assert "STOP" in text or "START" in text


def test_an_ordinary_message_changes_nothing_and_is_not_answered_here() -> None:
    for now in (FRESH, OUT):
        reply = answer(classify("How much for a Civic?"), now)
        assert (reply.change, reply.variant) == (Change.NOTHING, None)
