"""The page behind a confirmation's link, as a browser without a script sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio
from icalendar import Calendar
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.routing import Route

from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.capacity import set_hours
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.rest.appointments import AppointmentPages
from lead_orchestrator.tenancy.hours import Open
from tests.factories import phone_number
from tests.rest.conftest import Browser
from tests.stack import Stack


@dataclass
class Booked:
    stack: Stack
    appointment: Appointment
    path: str

    async def row(self) -> dict[str, Any]:
        [row] = await self.stack.rows("SELECT * FROM appointments WHERE id = :id", id=self.appointment.id)
        return row


@pytest_asyncio.fixture
async def booked(stack: Stack) -> Booked:
    """An hour in five days, at a shop that is always open."""
    location = next(iter(stack.locations.values()))
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=5)
    async with stack.services.tenancy.write(stack.scope) as session:
        await set_hours(session, location, [Open(day, time(), time()) for day in range(7)])
        service = await upsert_service(session, ServiceChange(None, location, "Front <Windows>", 60))
        wanted = Wanted(offer=Offer(location, [service.id], start), customer=Customer("Secretname", phone_number()))
        row = await stack.services.appointments.book(session, wanted, str(uuid4()))
    assert row.manage_nonce is not None
    link = stack.services.links.manage(row.tenant_id, row.id, row.manage_nonce)
    return Booked(stack, row, f"/a/{link.rsplit('/', 1)[1]}")


@pytest_asyncio.fixture
async def pages(stack: Stack) -> AsyncIterator[Browser]:
    services = stack.services
    made = AppointmentPages(services.tenancy, services.appointments, services.links, services.calendars.freshness)
    routes = [
        Route("/a/{token}", made.show, methods=["GET"]),
        Route("/a/{token}", made.change, methods=["POST"]),
        Route("/a/{token}/appointment.ics", made.calendar, methods=["GET"]),
    ]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as browser:
        yield browser


def offered(page: httpx.Response) -> list[str]:
    return re.findall(r'<option value="([^"]+)">', page.text)


async def test_the_page_shows_the_appointment_and_looking_changes_nothing(pages: Browser, booked: Booked) -> None:
    before = await booked.row()

    page = await pages.get(booked.path)

    assert page.status_code == 200
    assert "Front &lt;Windows&gt;" in page.text
    assert "Sun Shade Tint Los Angeles" in page.text
    assert "Secretname" not in page.text
    assert "<script" not in page.text
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert booked.appointment.starts_at.isoformat() not in offered(page)
    assert await booked.row() == before


async def test_a_customer_moves_the_appointment_to_a_time_of_the_list(pages: Browser, booked: Booked) -> None:
    chosen = offered(await pages.get(booked.path))[-1]

    done = [await pages.post(booked.path, data={"startsAt": chosen}) for _ in range(2)]

    assert [page.status_code for page in done] == [200, 200]
    assert 'role="status">Done. This is your new time.' in done[0].text
    assert (await booked.row())["starts_at"] == datetime.fromisoformat(chosen)
    told = await booked.stack.rows(
        "SELECT body FROM scheduled_messages WHERE kind = 'CONFIRMATION' AND status = 'SCHEDULED'"
    )
    assert len(told) == 1
    assert "is now" in told[0]["body"]


async def test_a_time_that_was_taken_meanwhile_is_said_to_be(pages: Browser, booked: Booked) -> None:
    chosen = offered(await pages.get(booked.path))[-1]
    location = next(iter(booked.stack.locations.values()))
    async with booked.stack.services.tenancy.write(booked.stack.scope) as session:
        [service] = await session.scalars(text("SELECT service_id FROM appointment_services"))
        taking = Offer(location, [service], datetime.fromisoformat(chosen))
        wanted = Wanted(offer=taking, customer=Customer("Grace", phone_number()))
        await booked.stack.services.appointments.book(session, wanted, str(uuid4()))

    page = await pages.post(booked.path, data={"startsAt": chosen})

    assert page.status_code == 409
    assert "has just taken this time" in page.text
    assert (await booked.row())["starts_at"] == booked.appointment.starts_at


async def test_nonsense_is_refused_in_words(pages: Browser, booked: Booked) -> None:
    for given in (
        {},
        {"startsAt": "soon"},
        {"startsAt": "2030-01-01T10:00"},
        {"startsAt": "2020-01-01T10:00:00+00:00"},
    ):
        page = await pages.post(booked.path, data=given)
        assert page.status_code == 409
        assert 'role="status"' in page.text
    assert (await pages.post(booked.path, data={"startsAt": "x" * 5000})).status_code == 413
    assert (await booked.row())["starts_at"] == booked.appointment.starts_at


async def test_a_customer_cancels_twice_as_good_as_once(pages: Browser, booked: Booked) -> None:
    done = [await pages.post(booked.path, data={"cancel": "1"}) for _ in range(2)]

    assert [page.status_code for page in done] == [200, 200]
    assert "<h1>This appointment is cancelled</h1>" in done[1].text
    assert (await booked.row())["status"] == "CANCELLED"
    assert offered(done[1]) == []
    assert (
        await pages.post(booked.path, data={"startsAt": booked.appointment.starts_at.isoformat()})
    ).status_code == 409


async def test_an_appointment_that_has_begun_is_not_cancelled_by_its_customer(pages: Browser, booked: Booked) -> None:
    async with booked.stack.services.tenancy.write(booked.stack.scope) as session:
        begun = (
            "UPDATE appointments SET during = tstzrange(app_now() - interval '1 hour', app_now() + interval '1 hour')"
        )
        await session.execute(text(begun))

    page = await pages.post(booked.path, data={"cancel": "1"})

    assert page.status_code == 409
    assert (await booked.row())["status"] == "CONFIRMED"


async def test_the_calendar_file_holds_the_appointment(pages: Browser, booked: Booked) -> None:
    answer = await pages.get(f"{booked.path}/appointment.ics")

    assert answer.headers["content-type"].startswith("text/calendar")
    [event] = Calendar.from_ical(answer.text).walk("VEVENT")
    assert event.decoded("DTSTART") == booked.appointment.starts_at
    assert event.decoded("DTEND") == booked.appointment.ends_at
    assert event["SUMMARY"] == "Front <Windows> - Sun Shade Tint Los Angeles"
    assert booked.path in str(event["URL"])


async def test_a_link_that_was_made_void_or_forged_shows_nothing(pages: Browser, booked: Booked) -> None:
    forged = f"{booked.path[:-2]}{'AA' if not booked.path.endswith('AA') else 'BB'}"
    async with booked.stack.services.tenancy.write(booked.stack.scope) as session:
        await session.execute(text("UPDATE appointments SET manage_nonce = decode(repeat('00', 16), 'hex')"))

    for path in (booked.path, forged, "/a/x"):
        assert (await pages.get(path)).status_code == 404
        assert (await pages.post(path, data={"cancel": "1"})).status_code == 404
        assert (await pages.get(f"{path}/appointment.ics")).status_code == 404
    assert (await booked.row())["status"] == "CONFIRMED"
