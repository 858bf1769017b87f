"""What a text that asks for STOP, START or HELP changes, and what we answer; the same rules for every channel.

One confirmation for one opt-out, and none where the carrier or Twilio has said it already: 47 CFR 64.1200(a)(12) allows a single text
that confirms, within five minutes and without a word of marketing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.opt_out import Intent, Reading

__all__ = ["CONFIRM_WITHIN", "Answer", "Change", "Situation", "answer", "answered_by_carrier"]

CONFIRM_WITHIN = timedelta(minutes=5)
"""47 CFR 64.1200(a)(12): later than this, an opt-out is no longer confirmed."""

# Twilio answers these itself on every number, unless the account has switched that off; the whole text, in any case.
_CARRIER_WORDS = {
    Intent.STOP: frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}),
    Intent.START: frozenset({"START", "YES", "UNSTOP"}),
    Intent.HELP: frozenset({"HELP", "INFO"}),
}
_TELEPHONE = (Channel.SMS, Channel.WHATSAPP)


class Change(StrEnum):
    OPT_OUT = "OPT_OUT"
    RESTORE = "RESTORE"
    NOTHING = "NOTHING"


@dataclass(frozen=True)
class Situation:
    """`opted_out`: on the channel the text came by; `confirmed`: we have confirmed that opt-out before.

    `carrier_answered`: see `answered_by_carrier`. `shop` and its `phone` are shown to the customer.
    """

    channel: Channel
    opted_out: bool
    confirmed: bool
    carrier_answered: bool
    shop: str
    phone: str | None = None


@dataclass(frozen=True)
class Answer:
    """What to do: the change on `channels`, then `text` on the channel the customer used; None says nothing."""

    change: Change
    channels: Sequence[Channel]
    text: str | None


def answered_by_carrier(reading: Reading, channel: Channel, text: str, opt_out_type: str | None) -> bool:
    """Whether the customer has had an answer before we read the text: Twilio says so (`OptOutType`), or it always does."""
    if opt_out_type:
        return True
    return channel is Channel.SMS and text.strip().upper() in _CARRIER_WORDS.get(reading.intent, frozenset())


def answer(reading: Reading, now: Situation) -> Answer:
    """The change and the reply that a reading asks for."""
    if reading.stops:
        silent = now.carrier_answered or now.confirmed or now.channel is Channel.EMAIL
        text = None if silent else _say(reading, "stopped" if reading.intent is Intent.STOP else "understood", now)
        return Answer(Change.OPT_OUT, _stopped_channels(reading, now.channel), text)
    if reading.intent is Intent.START and now.opted_out:
        text = None if now.carrier_answered else _say(reading, "restored", now)
        return Answer(Change.RESTORE, _same_address(now.channel), text)
    if reading.intent is Intent.HELP and not now.carrier_answered:
        return Answer(Change.NOTHING, (), _say(reading, "help" if now.phone else "help_without_phone", now))
    return Answer(Change.NOTHING, (), None)


def _stopped_channels(reading: Reading, channel: Channel) -> Sequence[Channel]:
    """A keyword or "stop texting" is about the address it came from; who wants to be left alone means every one of them."""
    return (*_TELEPHONE, Channel.EMAIL) if reading.everywhere else _same_address(channel)


def _same_address(channel: Channel) -> Sequence[Channel]:
    return _TELEPHONE if channel in _TELEPHONE else (channel,)


def _say(reading: Reading, which: str, now: Situation) -> str:
    return _TEXTS[reading.language][which].format(shop=now.shop, phone=now.phone)


# The Spanish has no accents that GSM-7 lacks: each fits one segment with a shop's name of up to 40 letters.
_TEXTS = {
    "en": {
        "stopped": "You are unsubscribed and will get no more messages from {shop}. Reply START to get them again.",
        "understood": "Understood: no more messages from {shop}. If that is not what you meant, reply START.",
        "restored": "You will get messages from {shop} again. Reply STOP to end them, HELP for help.",
        "help": "{shop}: texts about the quote you asked for. Call {phone} for help. Reply STOP to end. Msg&data rates may apply.",
        "help_without_phone": "{shop}: texts about the quote you asked for. Reply to ask us, STOP to end. Msg&data rates may apply.",
    },
    "es": {
        "stopped": "Hemos cancelado los mensajes de {shop}. Responda START para recibirlos de nuevo.",
        "understood": "Entendido: hemos cancelado los mensajes de {shop}. Para recibirlos de nuevo, responda START.",
        "restored": "Recibe de nuevo los mensajes de {shop}. Responda STOP para cancelar o AYUDA para ayuda.",
        "help": "{shop}: mensajes sobre su solicitud de precio. Ayuda: {phone}. Responda STOP para cancelar. Pueden aplicar tarifas.",
        "help_without_phone": "{shop}: mensajes sobre su solicitud de precio. Responda para hablar con nosotros o STOP para cancelar.",
    },
}
