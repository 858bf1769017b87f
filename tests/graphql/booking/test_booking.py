"""Appointments through the API: booked, held, moved, cancelled, and everything that hangs from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.tokens import Offer, offering
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead, phone_number
from tests.graphql.booking.shops import BOOK, CANCEL, HOLD, RESCHEDULE, SET_STATUS, SLOTS, Shop
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

AUDIT = "query { auditLog(first: 100) { edges { node { action target } } } }"


async def rows(tenancy: Tenancy, franchise: Franchise, statement: str, **values: Any) -> list[dict[str, Any]]:
    async with tenancy.read(franchise.tenant.scope) as session:
        return [dict(row._mapping) for row in await session.execute(text(statement), values)]  # noqa: SLF001 - the library's name


async def messages(tenancy: Tenancy, franchise: Franchise) -> list[tuple[str, str, str, datetime]]:
    found = await rows(
        tenancy,
        franchise,
        "SELECT kind, status, reference, due_at FROM scheduled_messages WHERE reference IS NOT NULL ORDER BY id",
    )
    return [(row["kind"], row["status"], row["reference"].split(":", 2)[2], row["due_at"]) for row in found]


async def test_a_booking_makes_the_lead_ends_its_touches_and_tells_the_customer(
    api: Api, ours: Franchise, shop: Shop, tenancy: Tenancy
) -> None:
    starts_at, phone = shop.at(10), phone_number()

    made = await shop.book(starts_at, customer={"firstName": "Grace", "phone": phone, "consent": {"sms": True}})

    appointment = made["appointment"]
    assert made["errors"] == []
    assert (appointment["status"], appointment["bay"], appointment["startsAt"]) == (
        "CONFIRMED",
        1,
        starts_at.isoformat(),
    )
    assert appointment["endsAt"] == (starts_at + timedelta(hours=1)).isoformat()
    assert appointment["lead"]["status"] == "BOOKED"
    assert appointment["total"] == {"amountCents": 10_900, "currency": "USD"}
    [lead] = await rows(tenancy, ours, "SELECT * FROM leads WHERE phone = :phone", phone=phone)
    assert (lead["first_name"], lead["consented"], lead["booked_after"]) == ("Grace", ["SMS"], 0)
    touches = await rows(
        tenancy, ours, "SELECT status FROM scheduled_messages WHERE kind = 'TOUCH' AND lead_id = :id", id=lead["id"]
    )
    assert [touch["status"] for touch in touches] == ["CANCELLED"]
    told = await messages(tenancy, ours)
    assert [(kind, status, name) for kind, status, name, _ in told] == [
        ("CONFIRMATION", "SCHEDULED", "confirmation"),
        ("REMINDER", "SCHEDULED", "reminder:day"),
        ("REMINDER", "SCHEDULED", "reminder:hour"),
    ]
    assert [due for *_, due in told[1:]] == [starts_at - timedelta(days=1), starts_at - timedelta(hours=1)]
    events = await rows(
        tenancy, ours, "SELECT kind, detail FROM lead_events WHERE lead_id = :id ORDER BY position", id=lead["id"]
    )
    assert [event["kind"] for event in events] == ["lead.created", "lead.status", "appointment.booked"]
    assert events[-1]["detail"]["appointmentId"] == appointment["id"]
    audit = [edge["node"] for edge in (await api.ask(ours.owner, AUDIT)).ok["auditLog"]["edges"]]
    assert {"action": "appointment.booked", "target": appointment["id"]} in audit
    owed = await rows(tenancy, ours, "SELECT kind, version, status FROM outbox")
    assert owed == [{"kind": "SHOPMONKEY_APPOINTMENT", "version": 1, "status": "PENDING"}]
    assert appointment["syncStatus"] == "PENDING"


async def test_every_offered_slot_is_booked_by_its_token(api: Api, ours: Franchise, shop: Shop) -> None:
    offered = (await api.ask(ours.owner, SLOTS, **shop.days(1))).ok["availableSlots"]

    for slot in offered[::2]:
        made = await shop.book(slotToken=slot["token"])
        assert made["errors"] == []
        assert (made["appointment"]["startsAt"], made["appointment"]["endsAt"]) == (slot["startsAt"], slot["endsAt"])
    left = (await api.ask(ours.owner, SLOTS, **shop.days(1))).ok["availableSlots"]
    assert not {slot["startsAt"] for slot in left} & {slot["startsAt"] for slot in offered[::2]}


async def test_a_hold_keeps_the_time_until_it_is_booked(shop: Shop) -> None:
    held = (await shop.hold(shop.at(10)))["appointment"]

    assert (held["status"], held["lead"]) == ("HELD", None)
    assert datetime.fromisoformat(held["holdExpiresAt"]) > datetime.now(UTC)
    assert shop.codes(await shop.book(shop.at(10))) == ["SLOT_TAKEN"]
    booked = await shop.book(holdId=held["id"])
    assert booked["errors"] == []
    assert (booked["appointment"]["id"], booked["appointment"]["status"]) == (held["id"], "CONFIRMED")
    assert booked["appointment"]["holdExpiresAt"] is None
    assert shop.codes(await shop.book(holdId=held["id"])) == ["HOLD_EXPIRED"]


async def test_a_hold_that_expired_is_given_back(ours: Franchise, shop: Shop, tenancy: Tenancy) -> None:
    held = (await shop.hold(shop.at(10)))["appointment"]
    async with tenancy.write(ours.tenant.scope) as session:
        await session.execute(text("UPDATE appointments SET hold_expires_at = now() WHERE status = 'HELD'"))

    assert shop.codes(await shop.book(holdId=held["id"])) == ["HOLD_EXPIRED"]
    assert (await shop.book(shop.at(10)))["errors"] == []


async def test_the_same_key_answers_the_same_and_another_request_with_it_is_refused(
    ours: Franchise, shop: Shop, tenancy: Tenancy
) -> None:
    customer = {"firstName": "Grace", "phone": phone_number()}

    first = await shop.book(shop.at(10), customer=customer, idempotencyKey="one")
    again = await shop.book(shop.at(10), customer=customer, idempotencyKey="one")
    other = await shop.book(shop.at(11), customer=customer, idempotencyKey="one")

    assert again == first
    assert shop.codes(other) == ["IDEMPOTENCY_KEY_REUSED"]
    assert len(await rows(tenancy, ours, "SELECT id FROM appointments")) == 1
    moved = [await shop.reschedule(first["appointment"]["id"], shop.at(12), "two") for _ in range(2)]
    assert moved[0] == moved[1]
    assert len([1 for kind, *_ in await messages(tenancy, ours) if kind == "CONFIRMATION"]) == 2


async def test_what_cannot_be_booked_says_why_and_leaves_nothing(
    ours: Franchise, theirs: Franchise, shop: Shop, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    elsewhere = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    nobody = "0199aaaa-0000-7000-8000-000000000001"
    customer = {"firstName": "Grace", "phone": phone_number()}
    before = await rows(tenancy, ours, "SELECT count(*) FROM leads")

    async def refused(starts_at: datetime | None = None, **given: Any) -> list[tuple[str, list[str] | None]]:
        errors = (await shop.book(starts_at, **given))["errors"]
        return [(error["code"], error["field"]) for error in errors]

    assert await refused(shop.at(8)) == [("OUTSIDE_HOURS", ["startsAt"])]
    assert await refused(shop.at(12, 30)) == [("OUTSIDE_HOURS", ["startsAt"])]
    assert await refused(datetime(2026, 1, 5, 20, tzinfo=UTC)) == [("IN_THE_PAST", ["startsAt"])]
    assert await refused(shop.at(10) + timedelta(days=3650)) == [("TOO_FAR_AHEAD", ["startsAt"])]
    assert await refused(shop.at(10) + timedelta(seconds=1)) == [("BAD_USER_INPUT", ["startsAt"])]
    assert await refused(shop.at(10), serviceIds=[f"svc_{nobody}"]) == [("UNKNOWN_SERVICE", ["serviceIds", "0"])]
    assert await refused(shop.at(10), customer={**customer, "phone": "12"}) == [
        ("INVALID_PHONE", ["customer", "phone"])
    ]
    assert await refused(shop.at(10), customer={**customer, "phone": " "}) == [("INVALID_PHONE", ["customer", "phone"])]
    assert await refused(shop.at(10), customer={**customer, "email": "x"}) == [("INVALID_EMAIL", ["customer", "email"])]
    assert await refused(shop.at(10), customer={**customer, "firstName": ""}) == [
        ("BAD_USER_INPUT", ["customer", "firstName"])
    ]
    assert await refused(shop.at(10), customer=None) == [("CUSTOMER_NEEDED", ["customer"])]
    assert await refused(shop.at(10), customer=None, leadId=f"lead_{elsewhere.id}") == [("LEAD_ELSEWHERE", ["leadId"])]
    assert await refused(shop.at(10), customer=None, leadId=theirs.lead_id) == [("NOT_FOUND", None)]
    assert await refused(shop.at(10), leadId=ours.lead_id) == [("BAD_USER_INPUT", ["customer"])]
    assert await refused(shop.at(10), slotToken="x") == [("BAD_USER_INPUT", ["holdId"])]
    assert await refused(slotToken="x") == [("SLOT_TOKEN_INVALID", ["slotToken"])]
    assert await refused(holdId=f"appt_{nobody}") == [("NOT_FOUND", ["holdId"])]
    assert await refused() == [("BAD_USER_INPUT", ["holdId"])]
    assert await rows(tenancy, ours, "SELECT id FROM appointments UNION ALL SELECT id FROM outbox") == []
    assert await rows(tenancy, ours, "SELECT count(*) FROM leads") == before


async def test_a_slots_token_is_of_use_for_its_franchise_and_an_hour(
    ours: Franchise, theirs: Franchise, shop: Shop
) -> None:
    links, now, what = LinkSigner(["tests"], "https://app.example.com"), datetime.now(UTC), [shop.service.id]
    expired = offering(links, ours.tenant.id, ours.tenant.location, what, now - timedelta(seconds=1))(shop.at(10))
    foreign = offering(links, theirs.tenant.id, ours.tenant.location, what, now + timedelta(minutes=1))(shop.at(10))

    assert shop.codes(await shop.book(slotToken=expired)) == ["SLOT_TOKEN_EXPIRED"]
    assert shop.codes(await shop.book(slotToken=foreign)) == ["SLOT_TOKEN_INVALID"]


async def test_messages_follow_a_reschedule_and_a_cancellation(
    api: Api, ours: Franchise, shop: Shop, tenancy: Tenancy
) -> None:
    made = (await shop.book(shop.at(10)))["appointment"]

    moved = await shop.reschedule(made["id"], shop.at(12), "move")

    assert moved["errors"] == []
    assert (moved["appointment"]["startsAt"], moved["appointment"]["status"]) == (shop.at(12).isoformat(), "CONFIRMED")
    waiting = [(kind, name, due) for kind, status, name, due in await messages(tenancy, ours) if status == "SCHEDULED"]
    assert [(kind, name) for kind, name, _ in waiting] == [
        ("CONFIRMATION", "confirmation"),
        ("REMINDER", "reminder:day"),
        ("REMINDER", "reminder:hour"),
    ]
    assert [due for _, _, due in waiting[1:]] == [shop.at(12) - timedelta(days=1), shop.at(11)]
    bodies = await rows(tenancy, ours, "SELECT body FROM scheduled_messages WHERE kind = 'CONFIRMATION' ORDER BY id")
    assert "is now" in bodies[-1]["body"]
    assert "12:00 PM" in bodies[-1]["body"]

    cancelled = (await api.ask(ours.owner, CANCEL, id=made["id"], reason="Rain")).ok["cancelAppointment"]
    again = (await api.ask(ours.owner, CANCEL, id=made["id"], reason=None)).ok["cancelAppointment"]

    assert (cancelled["errors"], cancelled["appointment"]["status"], again) == ([], "CANCELLED", cancelled)
    left = [(kind, name) for kind, status, name, _ in await messages(tenancy, ours) if status == "SCHEDULED"]
    assert left == [("CONFIRMATION", "confirmation")]
    owed = await rows(tenancy, ours, "SELECT version, status FROM outbox")
    assert owed == [{"version": 3, "status": "PENDING"}]
    assert shop.codes(await shop.reschedule(made["id"], shop.at(9), "late")) == ["NOT_CONFIRMED"]
    happened = "SELECT kind FROM lead_events WHERE kind LIKE 'appointment.%' ORDER BY position"
    kinds = [row["kind"] for row in await rows(tenancy, ours, happened)]
    assert kinds == ["appointment.booked", "appointment.rescheduled", "appointment.cancelled"]
    assert (await shop.book(shop.at(12)))["errors"] == []


async def test_the_link_in_the_confirmation_is_the_appointments(ours: Franchise, shop: Shop, tenancy: Tenancy) -> None:
    made = (await shop.book(shop.at(10)))["appointment"]

    [confirmation] = await rows(tenancy, ours, "SELECT body FROM scheduled_messages WHERE kind = 'CONFIRMATION'")

    assert made["manageUrl"].startswith("https://app.example.com/a/")
    assert made["manageUrl"] in confirmation["body"]
    [stored] = await rows(tenancy, ours, "SELECT manage_nonce FROM appointments")
    assert len(stored["manage_nonce"]) == 16


async def test_no_reminder_is_planned_for_a_moment_that_is_past(ours: Franchise, shop: Shop, tenancy: Tenancy) -> None:
    await shop.always_open()
    starts_at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)

    assert (await shop.book(starts_at))["errors"] == []

    assert [name for _, _, name, _ in await messages(tenancy, ours)] == ["confirmation", "reminder:hour"]


async def test_what_became_of_an_appointment_is_said_after_it_began(
    api: Api, ours: Franchise, shop: Shop, tenancy: Tenancy
) -> None:
    async def settle(status: str) -> dict[str, Any]:
        answer: dict[str, Any] = (await api.ask(ours.owner, SET_STATUS, id=made["id"], s=status)).ok[
            "setAppointmentStatus"
        ]
        return answer

    made = (await shop.book(shop.at(10)))["appointment"]
    assert shop.codes(await settle("COMPLETED")) == ["NOT_STARTED"]
    assert shop.codes(await settle("HELD")) == ["WRONG_STATUS"]
    async with tenancy.write(ours.tenant.scope) as session:
        moved = "UPDATE appointments SET during = tstzrange(now() - interval '2 hours', now() - interval '1 hour')"
        await session.execute(text(moved))

    assert (await settle("NO_SHOW"))["appointment"]["status"] == "NO_SHOW"
    completed = await settle("COMPLETED")

    assert (completed["appointment"]["status"], completed["appointment"]["lead"]["status"]) == ("COMPLETED", "WON")
    reminders = [status for kind, status, *_ in await messages(tenancy, ours) if kind == "REMINDER"]
    assert reminders == ["CANCELLED", "CANCELLED"]
    cancelled = (await api.ask(ours.owner, CANCEL, id=made["id"], reason=None)).ok["cancelAppointment"]
    assert shop.codes(cancelled) == ["NOT_CANCELLABLE"]


async def test_lead_time_and_horizon_bind_customers_and_not_the_staff(
    ours: Franchise, shop: Shop, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    await shop.always_open()
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=30)
    appointments = Appointments(Leads(secret_box), LinkSigner(["tests"], "https://app.example.com"))

    async def code(starts_at: datetime) -> str:
        offer = Offer(ours.tenant.location, [shop.service.id], starts_at)
        async with tenancy.write(ours.tenant.scope) as session:
            with pytest.raises(BadInputError) as refused:
                await appointments.book(
                    session, Wanted(offer=offer, customer=Customer("Grace", phone_number())), str(uuid4())
                )
        return refused.value.code

    assert await code(soon) == "TOO_SOON"
    assert await code(soon + timedelta(days=62)) == "TOO_FAR_AHEAD"
    assert (await shop.book(soon))["errors"] == []
    assert (await shop.book(soon + timedelta(days=62)))["errors"] == []


async def test_another_tenants_appointment_does_not_exist(
    api: Api, ours: Franchise, theirs: Franchise, shop: Shop
) -> None:
    made = (await shop.book(shop.at(10)))["appointment"]
    hidden = api.token(ours.tenant.id, Role.MANAGER, location_ids=[ours.tenant.locations[1]])

    for token in (theirs.owner, hidden):
        answers = [
            (await api.ask(token, CANCEL, id=made["id"], reason=None)).ok["cancelAppointment"],
            (await api.ask(token, SET_STATUS, id=made["id"], s="CONFIRMED")).ok["setAppointmentStatus"],
            (await api.ask(token, RESCHEDULE, id=made["id"], at=shop.at(9).isoformat(), k="k")).ok[
                "rescheduleAppointment"
            ],
            (await api.ask(token, BOOK, i=shop.input(shop.at(11)))).ok["bookAppointment"],
            (await api.ask(token, HOLD, i=shop.hold_input(shop.at(11)))).ok["holdSlot"],
        ]
        assert [shop.codes(answer) for answer in answers] == [["NOT_FOUND"]] * 5
