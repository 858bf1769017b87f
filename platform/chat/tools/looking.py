"""Tools that change nothing: services, opening hours, free times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator.booking.repository import place
from lead_orchestrator.booking.service import Booking, Slot
from lead_orchestrator.catalog import repository as catalog_repository
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.chat.guard.evidence import Evidence, Offered
from lead_orchestrator.chat.tools.arguments import Arguments
from lead_orchestrator.chat.tools.matching import best
from lead_orchestrator.chat.tools.models import Box, Called
from lead_orchestrator.chat.tools.wording import clock, day, duration, moment, price, weekday
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.tenancy.hours import Open, minute
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["LookingTools"]

MOST_SERVICES, MOST_TIMES, TIMES_A_DAY = 5, 8, 3
DAYS, MOST_DAYS = 14, 31
WEEK = 7


class LookingTools:
    """What they answer is evidence: it may be said."""

    def __init__(self, booking: Booking) -> None:
        self._booking = booking

    async def search(self, session: ReadSession, given: Arguments, box: Box) -> Called:
        query = given.text("query")
        offered = await catalog_repository.offered_at(session, [box.bound.location_id], active_only=True)
        sold = offered[box.bound.location_id]
        found = best(sold, query, MOST_SERVICES)
        shown, handles = list[dict[str, Any]](), dict[str, Any]()
        for service in found:
            handle = box.handle("service", list(handles))
            handles[handle] = {"service": str(service.id)}
            shown.append(_shown(service, handle, box))
        result: dict[str, Any] = {"services": shown}
        if not found:
            result["note"] = f"nothing matches; the shop has: {', '.join(service.name for service in sold[:30])}"
        return Called(box.bound.turn, "search_services", {"query": query}, result, _evidence(found), handles)

    async def hours(self, session: ReadSession, box: Box) -> Called:
        location, opened, now = await _place(session, box)
        language = box.bound.language
        closed = {"en": "closed", "es": "cerrado"}[language]
        lines = [f"{weekday(number, language)}: {_stretches(opened, number, box) or closed}" for number in range(WEEK)]
        shut = (await catalog_repository.closures_of(session, [location.id])).get(location.id, ())
        zone = ZoneInfo(location.timezone)
        soon = [one for one in shut if one.ends_at > now and one.starts_at < now + timedelta(days=DAYS)]
        spans = [(one.starts_at.astimezone(zone), one.ends_at.astimezone(zone)) for one in soon]
        result = {
            "hours": lines,
            "closures": [f"{moment(begin, language)} - {moment(end, language)}" for begin, end in spans],
            "address": location.address,
            "phone": location.phone,
        }
        texts = [text for text in (location.address, location.phone, location.name) if text]
        evidence = Evidence(
            hours=frozenset((_monday_first(one), wall) for one in opened for wall in (one.opens_at, one.closes_at)),
            moments=frozenset(edge.replace(tzinfo=None) for span in spans for edge in span),
            week=True,
            texts=texts,
        )
        return Called(box.bound.turn, "opening_hours", {}, result, evidence)

    async def free(self, session: ReadSession, given: Arguments, box: Box) -> Called:
        bound, names = box.bound, given.handles("services")
        services = [_known(box, name) for name in names]
        location, _, now = await _place(session, box)
        zone = ZoneInfo(location.timezone)
        first, last = _days(given, now.astimezone(zone).date())
        slots = await self._booking.slots(session, bound.location_id, services, first, last)
        chosen = _chosen(slots, zone, given.wall("near"))
        handles: dict[str, Any] = {}
        shown = list[dict[str, str]]()
        for slot in chosen:
            handle = box.handle("slot", list(handles))
            handles[handle] = {
                "services": [str(service) for service in services],
                "starts_at": slot.starts_at.isoformat(),
                "ends_at": slot.ends_at.isoformat(),
                "local_start": slot.local_start,
                "token": slot.token,
            }
            shown.append({"slot": handle, "when": moment(slot.starts_at.astimezone(zone), bound.language)})
        asked = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        evidence = Evidence(
            moments=frozenset(slot.starts_at.astimezone(zone).replace(tzinfo=None) for slot in chosen),
            days=frozenset(asked),
        )
        result = {"free": shown, "asked": f"{day(first, bound.language)} - {day(last, bound.language)}"}
        arguments = {"services": names, "from_date": first.isoformat(), "to_date": last.isoformat()}
        return Called(bound.turn, "free_slots", arguments, result, evidence, handles)


def _shown(service: Service, handle: str, box: Box) -> dict[str, Any]:
    return {
        "service": handle,
        "name": service.name,
        "price": price(service.price_cents, service.currency),
        "takes": duration(timedelta(minutes=service.duration_minutes), box.bound.language),
        "about": service.description,
    }


def _evidence(found: Sequence[Service]) -> Evidence:
    offered = [
        Offered(one.name, one.price_cents if price(one.price_cents, one.currency) else None, one.duration_minutes)
        for one in found
    ]
    return Evidence(services=offered, texts=[one.description for one in found if one.description])


async def _place(session: ReadSession, box: Box) -> tuple[Location, Sequence[Open], datetime]:
    found = await place(session, box.bound.location_id)
    if found is None:
        raise NotFoundError("the conversation's location is gone")
    location, opened, now, _ = found
    return location, opened, now


def _known(box: Box, handle: str) -> UUID:
    service = box.memory.service(handle)
    if service is None:
        raise BadInputError(
            f"{handle[:40]!r} is no service of this conversation: use a handle that search_services gave"
        )
    return service


def _days(given: Arguments, today: date) -> tuple[date, date]:
    first, last = given.day("from_date"), given.day("to_date")
    first = max(first or today, today)
    last = last or first + timedelta(days=DAYS - 1)
    if last < first:
        raise BadInputError(f"to_date is {last}, before {first}: today is {today}, send a later day")
    return first, min(last, first + timedelta(days=MOST_DAYS - 1))


def _chosen(slots: Sequence[Slot], zone: ZoneInfo, near: time | None) -> list[Slot]:
    """A few of each day, spread over it or the nearest to `near`, until there are enough to choose from."""
    of_days: dict[date, list[Slot]] = defaultdict(list)
    for slot in slots:
        of_days[slot.starts_at.astimezone(zone).date()].append(slot)
    chosen = [slot for those in of_days.values() for slot in _of_a_day(those, zone, near)]
    return chosen[:MOST_TIMES]


def _of_a_day(slots: Sequence[Slot], zone: ZoneInfo, near: time | None) -> list[Slot]:
    if near is not None:
        wanted = minute(near)
        nearest = sorted(slots, key=lambda slot: abs(minute(slot.starts_at.astimezone(zone).time()) - wanted))
        return sorted(nearest[:TIMES_A_DAY], key=lambda slot: slot.starts_at)
    places = {round(number * (len(slots) - 1) / (TIMES_A_DAY - 1)) for number in range(TIMES_A_DAY)}
    return [slots[at] for at in sorted(places)]


def _monday_first(one: Open) -> int:
    return (one.day_of_week - 1) % WEEK


def _stretches(opened: Sequence[Open], number: int, box: Box) -> str:
    return ", ".join(_spans(opened, number, box))


def _spans(opened: Sequence[Open], number: int, box: Box) -> Iterator[str]:
    language = box.bound.language
    joint = {"en": "to", "es": "a"}[language]
    for one in sorted(opened, key=lambda one: minute(one.opens_at)):
        if _monday_first(one) == number:
            yield f"{clock(one.opens_at, language)} {joint} {clock(one.closes_at, language)}"
