"""What a message that asks for STOP, START or HELP changes, and whether we answer it; the same rules for every channel.

One confirmation for one opt-out, and none where the carrier or Twilio has said it already: 47 CFR 64.1200(a)(12) allows a single text
that confirms, within five minutes and without a word of marketing. The words are templates (`templates/defaults.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.opt_out import Intent, Reading
from lead_orchestrator.messaging.templates.models import TemplateVariant

__all__ = ["CONFIRM_WITHIN", "Answer", "Change", "Situation", "answer", "answered_by_carrier", "ended", "same_address"]

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
    """`opted_out`: on the channel that the message came by, and so confirmed or known to the person before.

    `carrier_answered`: see `answered_by_carrier`. `waited`: since the message reached us.
    """

    channel: Channel
    opted_out: bool
    carrier_answered: bool
    waited: timedelta = timedelta()


@dataclass(frozen=True)
class Answer:
    """What to do: the change on `channels`, then to say what `variant` says where the person wrote; None says nothing."""

    change: Change
    channels: Sequence[Channel] = ()
    variant: TemplateVariant | None = None


def answered_by_carrier(reading: Reading, channel: Channel, text: str, opt_out_type: str | None) -> bool:
    """Whether the person has had an answer before we read the text: Twilio says so (`OptOutType`), or it always does."""
    if opt_out_type:
        return True
    return channel is Channel.SMS and text.strip().upper() in _CARRIER_WORDS.get(reading.intent, frozenset())


def answer(reading: Reading, now: Situation) -> Answer:
    """The change that a reading asks for, and what is said about it."""
    if reading.stops:
        late = now.waited >= CONFIRM_WITHIN
        silent = now.carrier_answered or now.opted_out or late or now.channel is Channel.EMAIL
        return Answer(Change.OPT_OUT, ended(now.channel, reading), None if silent else TemplateVariant.OPTED_OUT)
    if _restores(reading, now):
        silent = now.carrier_answered or now.channel is Channel.EMAIL
        return Answer(Change.RESTORE, same_address(now.channel), None if silent else TemplateVariant.OPTED_IN)
    if reading.intent is Intent.HELP and not now.carrier_answered and not now.opted_out:
        return Answer(Change.NOTHING, variant=TemplateVariant.HELP)
    return Answer(Change.NOTHING)


def ended(channel: Channel, reading: Reading | None) -> Sequence[Channel]:
    """The channels that a stop on `channel` ends: every one of the person's, however the person said it.

    Of somebody else, as behind a wrong number, only the address they wrote from. Where only the provider tells (None) it is the
    provider's address: a number has texts and WhatsApp, while WhatsApp's own switch says nothing about texts.
    """
    if reading is None:
        return (channel,) if channel is Channel.WHATSAPP else same_address(channel)
    return same_address(channel) if reading.somebody_else else (*_TELEPHONE, Channel.EMAIL)


def same_address(channel: Channel) -> Sequence[Channel]:
    """The channels that reach the address which `channel` reaches: a number has texts and WhatsApp."""
    return _TELEPHONE if channel in _TELEPHONE else (channel,)


def _restores(reading: Reading, now: Situation) -> bool:
    """A keyword of who opted out where they write from; under a mail a mere yes is an answer to what the mail asks."""
    return reading.intent is Intent.START and now.opted_out and not (reading.soft and now.channel is Channel.EMAIL)
