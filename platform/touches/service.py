"""The 13 touches of a lead: what each says, and when the next one is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator.leads.models import Channel, Lead, MessageKind, MessageStatus
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession
from lead_orchestrator.touches import repository
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES, Touch, next_due
from lead_orchestrator.touches.templates import clean, render

__all__ = ["LAST_TOUCH", "Schedule", "next_touch", "schedules", "touch_of", "values", "with_footer", "wording"]

LAST_TOUCH = len(DEFAULT_TOUCHES)

Schedule = dict[int, Touch]
"""A location's touches by their number."""


async def schedules(session: ReadSession, location_ids: Sequence[UUID]) -> dict[UUID, Schedule]:
    """The touches of each of these locations: its own, else the tenant's, else the default ones."""
    rows = await repository.templates(session, location_ids)
    return {location_id: _in_force(rows, location_id) for location_id in location_ids}


def _in_force(rows: Sequence[TouchTemplate], location_id: UUID) -> Schedule:
    own = [row for row in rows if row.location_id == location_id]
    stored = own or [row for row in rows if row.location_id is None]
    touches = [touch_of(row) for row in stored] or DEFAULT_TOUCHES
    return {touch.number: touch for touch in touches}


def touch_of(row: TouchTemplate) -> Touch:
    """The touch that is stored in `row`."""
    return Touch(row.number, row.day, Channel(row.channel), row.subject, row.body, row.whatsapp_template)


def values(lead: Lead, location: Location, links: LinkSigner) -> dict[str, str]:
    """What the variables of a template stand for in a message to this lead."""
    vehicle = lead.vehicle or {}
    parts = [str(vehicle[name]) for name in ("year", "make", "model") if vehicle.get(name)]
    return {
        "first_name": clean(lead.first_name or ""),
        "shop_name": clean(location.name),
        "shop_address": clean(location.address or ""),
        "vehicle": clean(" ".join(parts)),
        "chat_link": links.chat(lead.tenant_id, lead.id),
        "unsubscribe_link": links.unsubscribe(lead.tenant_id, lead.id),
    }


_SHORT = "Hi {first_name|there}, {shop_name} here about your quote{vehicle_part}. Any questions? {chat_link} Reply STOP to opt out"
_FOOTER = "\n\n{shop_name}\n{shop_address}\n\nDon't want these e-mails? Unsubscribe: {unsubscribe_link}"


def wording(touch: Touch, channel: Channel, filled: Mapping[str, str]) -> tuple[str | None, str]:
    """Subject and text of a touch on the channel it takes; one that was written for another channel is fitted to this one.

    Raises:
        BadInputError: the template names a variable that does not exist.
    """
    if channel is touch.channel:
        subject, text = (render(touch.subject, filled) if touch.subject else None), render(touch.body, filled)
        return subject, with_footer(text, filled) if channel is Channel.EMAIL else text
    if channel is Channel.EMAIL:
        return f"Your quote from {filled['shop_name']}", with_footer(render(touch.body, filled), filled)
    part = f" for your {filled['vehicle']}" if filled["vehicle"] else ""
    return None, render(_SHORT, {**filled, "vehicle_part": part})


def with_footer(text: str, filled: Mapping[str, str]) -> str:
    """A mail's text with who sent it and how to end the mails, unless it says how (CAN-SPAM: 15 U.S.C. 7704(a)(5))."""
    return text if filled["unsubscribe_link"] in text else text + render(_FOOTER, filled)


def next_touch(
    lead: Lead, location: Location, schedule: Schedule, *, after: int, now: datetime
) -> dict[str, object] | None:
    """The row of the touch that follows number `after`, which went out or was skipped `now`; None after the last.

    A paused lead's next touch is cancelled from the start, for `resume` to find.
    """
    touch = schedule.get(after + 1)
    if touch is None:
        return None
    return {
        "tenant_id": lead.tenant_id,
        "location_id": lead.location_id,
        "lead_id": lead.id,
        "kind": MessageKind.TOUCH,
        "channel": touch.channel,
        "enrolment": lead.enrolment,
        "touch_number": touch.number,
        "due_at": next_due(lead.enrolled_at, touch.day, ZoneInfo(location.timezone), now),
        "status": MessageStatus.CANCELLED if lead.touches_paused else MessageStatus.SCHEDULED,
        "decision": "The touches are paused" if lead.touches_paused else None,
        "created_at": now,
    }
