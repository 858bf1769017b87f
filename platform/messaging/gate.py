"""The send gate: one function decides for every producer whether a message goes out, waits or never goes.

It knows nothing but its `Facts`, which are read in the transaction that claims the message, under the lead's lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from lead_orchestrator.leads.models import Channel, LeadStatus, MessageKind
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.touches.quiet_hours import QuietHours, next_allowed

__all__ = ["Decision", "Defer", "Facts", "Send", "Suppress", "decide"]

WIDEST = QuietHours(time(8), time(21))  # 47 CFR 64.1200(c)(1): not before 8 or after 21, the called party's time
DAY = timedelta(days=1)
SUSPENDED_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class Facts:
    """All that a decision rests on. `channels` are those the message could take, the wanted one first."""

    now: datetime
    kind: MessageKind
    touch_number: int | None
    channels: Sequence[Channel]
    addresses: Mapping[Channel, str | None]
    status: LeadStatus
    paused: bool
    opted_out: frozenset[Channel]
    consented: frozenset[Channel]
    zone: ZoneInfo
    zone_from: str
    window: QuietHours
    instant_replies: bool
    tenant_active: bool
    demo_mode: bool
    allowlist: Sequence[str]
    senders: frozenset[Channel]
    daily_cap: int
    sent_in_a_day: Sequence[datetime] = field(default_factory=tuple)


@dataclass(frozen=True)
class Send:
    """Now, on `channel`, and not after `before`."""

    channel: Channel
    before: datetime
    decision: str


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
    if not facts.tenant_active:
        return Defer(facts.now + SUSPENDED_PAUSE, "Waiting: the franchise is suspended")
    ended = _ended(facts)
    if ended is not None:
        return Suppress(ended, ends_touches=True)
    refusals = {channel: _refusal(facts, channel) for channel in facts.channels}
    open_channels = [channel for channel, refusal in refusals.items() if refusal is None]
    if not open_channels:
        return _suppressed(refusals)
    return _when(facts, open_channels[0], refusals)


def _ended(facts: Facts) -> str | None:
    if facts.kind is not MessageKind.TOUCH:
        return None
    if facts.status in ENDS_TOUCHES:
        return f"Not sent: the lead is {facts.status.value.lower().replace('_', ' ')}"
    return "Not sent: the touches are paused" if facts.paused else None


@dataclass(frozen=True)
class _Refusal:
    reason: str
    for_good: bool = False


def _refusal(facts: Facts, channel: Channel) -> _Refusal | None:
    address = facts.addresses.get(channel)
    if not address:
        return _Refusal("the lead has no address for it", for_good=True)
    if channel in facts.opted_out:
        return _Refusal("the person opted out", for_good=True)
    if facts.demo_mode and not _allowed(address, facts.allowlist):
        return _Refusal("demo mode is on and the address is not on the allow-list", for_good=True)
    # The quote asked for an answer; whatever follows needs a yes of its own.
    if facts.kind is MessageKind.TOUCH and facts.touch_number != 1 and channel not in facts.consented:
        return _Refusal("there is no consent to further messages")
    if channel not in facts.senders:
        return _Refusal("the franchise has no account to send it from")
    return None


def _allowed(address: str, allowlist: Sequence[str]) -> bool:
    return any(fnmatchcase(address.lower(), entry.lower()) for entry in allowlist)


def _suppressed(refusals: Mapping[Channel, _Refusal | None]) -> Suppress:
    reasons = [f"{channel.value}: {refusal.reason}" for channel, refusal in refusals.items() if refusal]
    for_good = all(refusal.for_good for refusal in refusals.values() if refusal)
    return Suppress(f"Not sent. {'; '.join(reasons) or 'No channel is left'}", ends_touches=for_good)


def _when(facts: Facts, channel: Channel, refusals: Mapping[Channel, _Refusal | None]) -> Decision:
    window = _window(facts)
    hours = f"{window.opens:%H:%M}-{window.closes:%H:%M} in {facts.zone.key} ({facts.zone_from})"
    allowed = next_allowed(facts.now, facts.zone, window)
    if allowed > facts.now:
        return Defer(allowed, f"Waiting until {_local(allowed, facts.zone)}: outside the contact hours {hours}")
    recent = sorted(moment for moment in facts.sent_in_a_day if moment > facts.now - DAY)
    if len(recent) >= facts.daily_cap:
        until = next_allowed(recent[-facts.daily_cap] + DAY, facts.zone, window)
        words = (
            f"Waiting until {_local(until, facts.zone)}: {len(recent)} messages within a day, at most {facts.daily_cap}"
        )
        return Defer(until, words)
    skipped = [
        f"{other.value}: {refusal.reason}" for other, refusal in refusals.items() if refusal and other != channel
    ]
    instead = f" instead of {'; '.join(skipped)}" if facts.channels[0] != channel else ""
    words = f"Sent by {channel.value} at {_local(facts.now, facts.zone)}, within {hours}{instead}"
    return Send(channel, _closing(facts.now, facts.zone, window), words)


def _window(facts: Facts) -> QuietHours:
    """The franchise's contact hours, as far as the law has them; an answer to a fresh quote may take all of those."""
    if facts.instant_replies and facts.touch_number == 1:
        return WIDEST
    opens, closes = max(facts.window.opens, WIDEST.opens), min(facts.window.closes, WIDEST.closes)
    return QuietHours(opens, closes) if opens < closes else QuietHours()


def _closing(now: datetime, zone: ZoneInfo, window: QuietHours) -> datetime:
    """When today's window ends: a carrier's queue must not deliver after it."""
    local = now.astimezone(zone)
    return local.replace(hour=window.closes.hour, minute=window.closes.minute, second=0, microsecond=0).astimezone(
        now.tzinfo
    )


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")
