"""What the gate would say to a message or to all touches of a lead, before any of it happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, MessageKind, ScheduledMessage
from lead_orchestrator.messaging.facts import gather
from lead_orchestrator.messaging.gate import Decision, Defer, Facts, Send, decide
from lead_orchestrator.messaging.repository import Due
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import ReadSession
from lead_orchestrator.touches.schedule import Touch, next_due
from lead_orchestrator.touches.service import schedules

__all__ = ["Foreseen", "foresee", "simulate"]

MOST_DEFERRALS = 10
FURTHEST = timedelta(days=3660)
_NOTHING_TO_SEND_FROM = "Not sent: the franchise has no messaging account"


@dataclass(frozen=True)
class Foreseen:
    """A touch as it would go: when, on which channel, and why or why not. `local_time` is the shop's."""

    touch: Touch
    channel: Channel
    due_at: datetime
    local_time: str
    decision: str


async def foresee(session: ReadSession, message: ScheduledMessage, lead: Lead, secrets: SecretBox) -> str:
    """What the gate would decide about the message when it is due, as things are now, in words."""
    gathered = await gather(session, [Due(message, lead)], secrets)
    if gathered is None:
        return _NOTHING_TO_SEND_FROM
    facts = gathered.facts[message.id]
    return _foretold(decide(replace(facts, now=max(message.due_at, facts.now))))


async def simulate(
    session: ReadSession,
    secrets: SecretBox,
    lead_id: UUID | None,
    location_id: UUID | None,
    starting_at: datetime | None,
) -> list[Foreseen]:
    """All touches, as if the lead (None: somebody who agreed to everything and has both addresses) asked at `starting_at`.

    `starting_at` None is now. Nothing is written. Answers, bookings and opt-outs to come are not foreseen.

    Raises:
        BadInputError: the lead is of another location, or `starting_at` is more than ten years away.
        NotFoundError: the caller sees no such lead or location.
    """
    lead, location = await _whom(session, lead_id, location_id)
    schedule = (await schedules(session, [location.id]))[location.id]
    touches = [schedule[number] for number in sorted(schedule)]
    messages = {touch.number: _message(lead, touch) for touch in touches}
    gathered = await gather(session, [Due(message, lead) for message in messages.values()], secrets)
    start = await _start(session, starting_at)
    facts = {n: gathered.facts[message.id] for n, message in messages.items()} if gathered else {}
    return list(_played(touches, facts, start, ZoneInfo(location.timezone)))


async def _start(session: ReadSession, starting_at: datetime | None) -> datetime:
    now = await app_now(session)
    if starting_at is not None and abs(starting_at - now) > FURTHEST:
        message = f"startingAt is {starting_at.isoformat()}: nothing is foreseen further than ten years from now"
        raise BadInputError(message, field=("startingAt",))
    return starting_at or now


def _played(touches: list[Touch], facts: dict[int, Facts], start: datetime, zone: ZoneInfo) -> Iterator[Foreseen]:
    """One after the other, as the dispatcher would: each counts from the first and comes a day after the one before."""
    anchor, before = start, None
    sent = list(next(iter(facts.values())).sent) if facts else []
    for touch in touches:
        due = start if before is None else next_due(anchor, touch.day, zone, before)
        known = facts.get(touch.number)
        at, channel, words = _decided(replace(known, sent=sent), due) if known else (due, None, _NOTHING_TO_SEND_FROM)
        sent += [at] if channel else []
        anchor, before = (at if before is None else anchor), at
        shown = at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")
        yield Foreseen(touch, channel or touch.channel, at, shown, words)


def _decided(facts: Facts, due: datetime) -> tuple[datetime, Channel | None, str]:
    """When the touch would go, on which channel (None: it would not) and in words why."""
    at, why = due, ""
    for _ in range(MOST_DEFERRALS):
        decision = decide(replace(facts, now=at))
        if not isinstance(decision, Defer):
            if isinstance(decision, Send):
                return at, decision.channel, why or _foretold(decision)
            return at, None, decision.decision
        at, why = decision.until, decision.decision
    return due, None, why  # it waits for something that time alone does not bring


def _foretold(decision: Decision) -> str:
    words = decision.decision
    return f"Will go out{words.removeprefix('Sent')}" if isinstance(decision, Send) else words


async def _whom(session: ReadSession, lead_id: UUID | None, location_id: UUID | None) -> tuple[Lead, Location]:
    lead = await leads_repository.get(session, lead_id) if lead_id else None
    if lead_id and lead is None:
        raise NotFoundError(f"there is no lead {encode(Kind.LEAD, lead_id)}", field=("leadId",))
    if lead and location_id and location_id != lead.location_id:
        message = (
            f"the lead is at {encode(Kind.LOCATION, lead.location_id)}: leave the locationId out, or name that one"
        )
        raise BadInputError(message, field=("locationId",))
    wanted = lead.location_id if lead else location_id
    place = tenancy_repository
    location = await (place.location(session, wanted) if wanted else place.first_location(session))
    if location is None:
        named = f"location {encode(Kind.LOCATION, wanted)}" if wanted else "location yet"
        raise NotFoundError(f"there is no {named}", field=("locationId",))
    return lead or _anybody(location), location


def _anybody(location: Location) -> Lead:
    return Lead(
        tenant_id=location.tenant_id,
        id=uuid4(),
        location_id=location.id,
        phone="+12025550100",
        email="anybody@example.com",
        status=LeadStatus.NEW,
        touches_paused=False,
        opted_out=[],
        consented=[Channel.SMS, Channel.EMAIL, Channel.WHATSAPP],
        time_zone=location.timezone,
    )


def _message(lead: Lead, touch: Touch) -> ScheduledMessage:
    return ScheduledMessage(
        tenant_id=lead.tenant_id,
        id=uuid4(),
        location_id=lead.location_id,
        lead_id=lead.id,
        kind=MessageKind.TOUCH,
        channel=touch.channel,
        touch_number=touch.number,
        enrolment=lead.enrolment,
    )
