"""The send gate: one function decides for every producer whether a message goes out, waits or never goes.

It knows nothing but its `Facts`, which are read in the transaction that claims the message, under the lead's lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, lru_cache

from lead_orchestrator.leads.models import Channel, LeadStatus, MessageKind
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.touches.contact_hours import ContactHours, Opening, contact_hours, most_in_a_day
from lead_orchestrator.touches.holidays import federal_holidays
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.state_hours import STATES
from lead_orchestrator.touches.whereabouts import Whereabouts

__all__ = ["RULES", "Decision", "Defer", "Facts", "Rules", "Send", "Suppress", "decide"]

DAY, WEEK = timedelta(days=1), timedelta(days=7)
SUSPENDED_PAUSE = PERSON_PAUSE = timedelta(hours=1)
ANSWERED_WITHIN = timedelta(hours=1)
WHATSAPP_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate asks of one kind of message, beside what it asks of all (docs/sending.md has the table).

    `ends_with_lead`: not after an answer, a booking, an end or a pause. `waits_for_person`: not while a person has the
    conversation. `solicits`: caps and holidays count. `answers`: goes at any hour to somebody who has just written.
    """

    ends_with_lead: bool = False
    waits_for_person: bool = False
    needs_consent: bool = False
    solicits: bool = False
    answers: bool = False


RULES: Mapping[MessageKind, Rules] = {
    MessageKind.TOUCH: Rules(ends_with_lead=True, waits_for_person=True, needs_consent=True, solicits=True),
    MessageKind.WELCOME: Rules(waits_for_person=True, solicits=True),
    MessageKind.AD_HOC: Rules(solicits=True),
    MessageKind.REMINDER: Rules(),
    MessageKind.CONFIRMATION: Rules(answers=True),
    MessageKind.REPLY: Rules(answers=True),
}


@dataclass(frozen=True)
class Facts:
    """All that a decision rests on. `channels` are those the message could take, the wanted one first.

    `sent` is when the person was written to within the last week, `wrote_at` when the person last wrote to us on a channel,
    within the last day. `refused` are channels whose provider refused the franchise's account the last time.
    """

    now: datetime
    kind: MessageKind
    touch_number: int | None
    channels: Sequence[Channel]
    addresses: Mapping[Channel, str | None]
    status: LeadStatus
    paused: bool
    opted_out: frozenset[Channel]
    consented: frozenset[Channel]
    place: Whereabouts
    window: QuietHours
    instant_replies: bool
    tenant_active: bool
    demo_mode: bool
    allowlist: Sequence[str]
    senders: frozenset[Channel]
    daily_cap: int
    weekly_cap: int
    sent: Sequence[datetime] = ()
    skip_holidays: bool = False
    person_has_it: bool = False
    wrote_at: Mapping[Channel, datetime] = field(default_factory=dict)
    refused: frozenset[Channel] = frozenset()
    whatsapp_template: str | None = None
    confirms_opt_out: bool = False
    """The one message that goes out after an opt-out: it says, once, that nothing more will come."""
    not_after: datetime | None = None
    """When it is too late to send it at all."""


@dataclass(frozen=True)
class Send:
    """Now, on `channel`, and not after `before`; `template` is WhatsApp's where free text is not allowed."""

    channel: Channel
    before: datetime
    decision: str
    template: str | None = None


@dataclass(frozen=True)
class Defer:
    until: datetime
    decision: str


@dataclass(frozen=True)
class Suppress:
    """Never; `ends_touches` when nothing after it may be sent either."""

    decision: str
    ends_touches: bool = False


Decision = Send | Defer | Suppress


def decide(facts: Facts) -> Decision:
    """Send, defer or suppress, with the reason in words."""
    decision = _decide(facts)
    last = facts.not_after
    if last is None or isinstance(decision, Suppress):
        return decision
    if isinstance(decision, Send) and facts.now < last:
        return replace(decision, before=min(decision.before, last))
    if isinstance(decision, Defer) and decision.until < last:
        return decision
    return Suppress(f"Not sent: it was to go out before {_local(last, facts)}, and not later")


def _decide(facts: Facts) -> Decision:
    rules = RULES[facts.kind]
    if not facts.tenant_active:
        return Defer(facts.now + SUSPENDED_PAUSE, "Waiting: the franchise is suspended")
    ended = _ended(facts) if rules.ends_with_lead else None
    if ended is not None:
        return Suppress(ended, ends_touches=True)
    if facts.person_has_it and rules.waits_for_person:
        return Defer(facts.now + PERSON_PAUSE, "Waiting: a person has the conversation")
    channel, refusals = _channel(facts)
    return _suppressed(refusals) if channel is None else _when(facts, channel, refusals)


def _channel(facts: Facts) -> tuple[Channel | None, Mapping[Channel, _Refusal]]:
    """The first channel that is open, and why those before it are not; one whose account is refused if there is no other."""
    refusals: dict[Channel, _Refusal] = {}
    for channel in facts.channels:
        refusal = _refusal(facts, channel)
        if refusal is None and channel not in facts.refused:
            return channel, refusals
        refusals[channel] = refusal or _ACCOUNT_REFUSED
    last = next((channel for channel, refusal in refusals.items() if refusal is _ACCOUNT_REFUSED), None)
    return last, {channel: refusal for channel, refusal in refusals.items() if channel is not last}


def _ended(facts: Facts) -> str | None:
    if facts.status in ENDS_TOUCHES:
        return f"Not sent: the lead is {facts.status.value.lower().replace('_', ' ')}"
    return "Not sent: the touches are paused" if facts.paused else None


@dataclass(frozen=True)
class _Refusal:
    reason: str
    for_good: bool = False


_NO_ADDRESS = _Refusal("the lead has no address for it", for_good=True)
_OPTED_OUT = _Refusal("the person opted out", for_good=True)
_DEMO = _Refusal("demo mode is on and the address is not on the allow-list", for_good=True)
_NO_CONSENT = _Refusal("there is no consent to further messages")
_NO_SENDER = _Refusal("the franchise has no account to send it from")
_ACCOUNT_REFUSED = _Refusal("its provider refuses the franchise's account")
_NO_TEMPLATE = _Refusal("more than 24 hours after the person's last message it takes a template, and there is none")


def _refusal(facts: Facts, channel: Channel) -> _Refusal | None:
    address = facts.addresses.get(channel)
    if not address:
        return _NO_ADDRESS
    return _forbidden(facts, channel, address) or _impossible(facts, channel)


def _forbidden(facts: Facts, channel: Channel, address: str) -> _Refusal | None:
    if channel in facts.opted_out and not facts.confirms_opt_out:
        return _OPTED_OUT
    if facts.demo_mode and not _allowed(address, facts.allowlist):
        return _DEMO
    # The quote asked for an answer; whatever follows needs a yes of its own.
    if RULES[facts.kind].needs_consent and facts.touch_number != 1 and channel not in facts.consented:
        return _NO_CONSENT
    return None


def _impossible(facts: Facts, channel: Channel) -> _Refusal | None:
    if channel not in facts.senders:
        return _NO_SENDER
    if channel is Channel.WHATSAPP and not facts.whatsapp_template and not _whatsapp_is_open(facts):
        return _NO_TEMPLATE
    return None


def _allowed(address: str, allowlist: Sequence[str]) -> bool:
    return any(fnmatchcase(address.lower(), entry.lower()) for entry in allowlist)


def _whatsapp_is_open(facts: Facts) -> bool:
    """Whether free text may be sent there: within 24 hours of the person's own message."""
    wrote_at = facts.wrote_at.get(Channel.WHATSAPP)
    return wrote_at is not None and facts.now - wrote_at < WHATSAPP_WINDOW


def _suppressed(refusals: Mapping[Channel, _Refusal]) -> Suppress:
    for_good = all(refusal.for_good for refusal in refusals.values())
    return Suppress(f"Not sent. {_reasons(refusals) or 'No channel is left'}", ends_touches=for_good)


def _reasons(refusals: Mapping[Channel, _Refusal]) -> str:
    return "; ".join(f"{channel.value}: {refusal.reason}" for channel, refusal in refusals.items())


def _when(facts: Facts, channel: Channel, refusals: Mapping[Channel, _Refusal]) -> Decision:
    rules, now = RULES[facts.kind], facts.now
    hours = _hours(facts, rules)
    opening = hours.opening(now)
    wrote_at = max(facts.wrote_at.values(), default=None) if rules.answers else None
    if wrote_at is not None and now - wrote_at < ANSWERED_WITHIN and (opening is None or opening.opens > now):
        words = f"Sent by {channel.value} at {_local(now, facts)}: the person wrote at {_local(wrote_at, facts)}"
        return Send(channel, now + ANSWERED_WITHIN, words, _template(facts, channel))
    if opening is None:
        return Suppress(f"Not sent: there is no time to write that is allowed {_where(facts.place)}")
    if opening.opens > now:
        return Defer(opening.opens, f"Waiting until {_local(opening.opens, facts)}: {_closed(facts, rules, opening)}")
    full = _full(facts, hours) if rules.solicits else None
    if full is not None:
        return full
    instead = "" if channel is facts.channels[0] else f" instead of {_reasons(refusals)}"
    words = f"Sent by {channel.value} at {_local(now, facts)}, within {_shown(opening, facts)}{instead}"
    return Send(channel, opening.closes, words, _template(facts, channel))


def _hours(facts: Facts, rules: Rules) -> ContactHours:
    """The franchise's contact hours, as far as the law has them; an answer to a fresh quote may take all of those."""
    instant = facts.instant_replies and facts.touch_number == 1
    holidays = facts.skip_holidays and rules.solicits
    return contact_hours(facts.place.zones, facts.place.states, None if instant else facts.window, holidays=holidays)


def _full(facts: Facts, hours: ContactHours) -> Defer | None:
    """A wait for the day or the week to have room again."""
    by_law = most_in_a_day(facts.place.states)
    day = min(facts.daily_cap, by_law) if by_law else facts.daily_cap
    waits = [_room(facts, cap, span) for cap, span in ((day, DAY), (facts.weekly_cap, WEEK))]
    until, why = max((wait for wait in waits if wait), default=(None, ""))
    if until is None:
        return None
    opening = hours.opening(until)
    until = max(until, opening.opens) if opening else until
    return Defer(until, f"Waiting until {_local(until, facts)}: {why}")


def _room(facts: Facts, cap: int, span: timedelta) -> tuple[datetime, str] | None:
    """When fewer than `cap` messages will lie within `span`, and why not now; None if it is so now."""
    if len(facts.sent) < cap:
        return None
    recent = sorted(moment for moment in facts.sent if moment > facts.now - span)
    if len(recent) < cap:
        return None
    name = "a day" if span == DAY else "a week"
    return recent[-cap] + span, f"{len(recent)} messages within {name}, at most {cap}"


def _template(facts: Facts, channel: Channel) -> str | None:
    if channel is not Channel.WHATSAPP or _whatsapp_is_open(facts):
        return None
    return facts.whatsapp_template


def _closed(facts: Facts, rules: Rules, opening: Opening) -> str:
    if facts.skip_holidays and rules.solicits:
        today = facts.now.astimezone(facts.place.zones[0]).date()
        if today in federal_holidays(today.year):
            return "today is a federal holiday"
    return f"outside the contact hours {_shown(opening, facts)}"


def _shown(opening: Opening, facts: Facts) -> str:
    """The hours of the day on which it opens, and where they hold."""
    opens, closes = opening.week[opening.opens.astimezone(facts.place.zones[0]).weekday()]
    return f"{_hour(opens)}-{_hour(closes)} {_where(facts.place)}"


@cache
def _hour(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@lru_cache(maxsize=4096)
def _where(place: Whereabouts) -> str:
    zones = " and ".join(zone.key for zone in place.zones)
    law = ", ".join(state for state in place.states if state in STATES)
    return f"in {zones} ({place.known_by}{f'; law of {law}' if law else ''})"


def _local(moment: datetime, facts: Facts) -> str:
    return f"{moment.astimezone(facts.place.zones[0]):%a %Y-%m-%d %H:%M}"
