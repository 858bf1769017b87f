from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads.addresses import known_email
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, Lead, LeadSource, LeadStatus
from lead_orchestrator.leads.service import Enquiry, Leads, Received, locked, locked_person
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_tenant, phone_number


@dataclass(frozen=True)
class Desk:
    """One tenant with two locations, and what its services do with its leads."""

    tenancy: Tenancy
    leads: Leads
    tenant: MadeTenant

    async def ask(self, *, location: int = 0, **fields: Any) -> Received:
        """Somebody asks at a location."""
        enquiry = Enquiry(self.tenant.locations[location], LeadSource.API, **fields)
        async with self.tenancy.write(self.tenant.scope) as session:
            return await self.leads.receive(session, enquiry)

    async def do(self, method: str, lead: Lead, *arguments: Any) -> Any:
        """Call a method of the service with the lead locked."""
        async with self.tenancy.write(self.tenant.scope) as session:
            lock = locked_person if method in {"opt_out", "opt_in", "before_erasure"} else locked
            return await getattr(self.leads, method)(session, await lock(session, lead.id), *arguments)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.tenancy.read(self.tenant.scope) as session:
            return [dict(row) for row in (await session.execute(text(statement), values)).mappings()]

    async def row(self, lead: Lead) -> dict[str, Any]:
        [row] = await self.rows("SELECT * FROM leads WHERE id = :id", id=lead.id)
        return row

    async def touches(self, lead: Lead) -> list[tuple[int, int, str]]:
        """(enrolment, number, status)"""
        statement = "SELECT enrolment, touch_number, status FROM scheduled_messages WHERE lead_id = :id ORDER BY 1, 2"
        return [tuple(row.values()) for row in await self.rows(statement, id=lead.id)]

    async def kinds(self, lead: Lead) -> list[str]:
        """The events of the lead, oldest first."""
        statement = "SELECT kind FROM lead_events WHERE lead_id = :id ORDER BY position"
        return [row["kind"] for row in await self.rows(statement, id=lead.id)]

    async def audited(self) -> list[tuple[str, Any]]:
        rows = await self.rows("SELECT action, detail FROM audit_log WHERE target LIKE 'lead_%' ORDER BY number")
        return [(row["action"], row["detail"]) for row in rows]


@pytest_asyncio.fixture
async def desk(tenancy: Tenancy, secret_box: SecretBox) -> Desk:
    return Desk(tenancy, Leads(secret_box), await make_tenant(tenancy, secret_box, locations=2))


def mail() -> str:
    return f"lead{secrets.token_hex(4)}@example.com"


async def test_an_enquiry_makes_a_lead_whose_first_touch_is_due(desk: Desk) -> None:
    received = await desk.ask(first_name="Ada", phone=phone_number(), time_zone="America/Denver")

    assert (received.created, received.enrolled, received.lead.status) == (True, True, "NEW")
    assert await desk.touches(received.lead) == [(1, 1, "SCHEDULED")]
    assert await desk.kinds(received.lead) == ["lead.created"]
    assert await desk.rows("SELECT due_at <= app_now() AS due FROM scheduled_messages") == [{"due": True}]


async def test_a_second_quote_fills_blanks_and_overwrites_nothing(desk: Desk) -> None:
    phone, first_mail, other_mail = phone_number(), mail(), mail()
    first = await desk.ask(phone=phone, first_name="Ada", vehicle={"make": "Honda"}, external_order_id="1")
    second = await desk.ask(phone=phone, first_name="Eve", last_name="Example", email=first_mail, external_order_id="2")
    third = await desk.ask(
        phone=phone, last_name="Other", email=other_mail, vehicle={"make": "Ford"}, survey={"a": 1}, postal_code="90015"
    )

    assert {second.lead.id, third.lead.id} == {first.lead.id}
    assert [(one.created, one.enrolled) for one in (second, third)] == [(False, False)] * 2
    row = await desk.row(first.lead)
    assert (row["first_name"], row["last_name"], row["email"]) == ("Ada", "Example", first_mail)
    assert (row["vehicle"], row["survey"], row["postal_code"]) == ({"make": "Honda"}, {"a": 1}, "90015")
    assert row["external_order_id"] == "2"
    assert (row["enrolment"], await desk.touches(first.lead)) == (1, [(1, 1, "SCHEDULED")])
    assert await desk.kinds(first.lead) == ["lead.created", "lead.asked_again", "lead.asked_again"]


@pytest.mark.parametrize("status", [LeadStatus.CONTACTED, LeadStatus.ENGAGED, LeadStatus.HOT, LeadStatus.BOOKED])
async def test_a_second_quote_of_an_open_lead_restarts_no_touches(desk: Desk, status: LeadStatus) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead
    await desk.do("move", lead, status, "tests")

    again = await desk.ask(phone=phone)

    assert (again.lead.id, again.enrolled, again.lead.status) == (lead.id, False, status)
    assert len(await desk.touches(lead)) == 1


@pytest.mark.parametrize("status", [LeadStatus.WON, LeadStatus.LOST])
async def test_a_returning_customer_starts_again_at_the_first_touch(desk: Desk, status: LeadStatus) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead
    await desk.do("pause", lead, "tests")
    await desk.do("move", lead, status, "tests")

    again = await desk.ask(phone=phone)

    assert (again.lead.id, again.created, again.enrolled) == (lead.id, False, True)
    row = await desk.row(lead)
    assert (row["status"], row["enrolment"], row["touches_sent"], row["touches_paused"]) == ("NEW", 2, 0, False)
    assert await desk.touches(lead) == [(1, 1, "CANCELLED"), (2, 1, "SCHEDULED")]


async def test_the_number_decides_before_the_mail_address(desk: Desk) -> None:
    phone, address = phone_number(), mail()
    by_phone = (await desk.ask(phone=phone)).lead
    by_mail = (await desk.ask(email=address)).lead

    both = await desk.ask(phone=phone, email=address)
    only_mail = await desk.ask(email=address)

    assert both.lead.id == by_phone.id
    assert only_mail.lead.id in {by_phone.id, by_mail.id}


async def test_an_open_lead_decides_before_a_closed_one(desk: Desk) -> None:
    address = mail()
    closed = (await desk.ask(email=address)).lead
    await desk.do("move", closed, LeadStatus.WON, "tests")
    phone = phone_number()
    opened = (await desk.ask(phone=phone)).lead
    await desk.do("correct", opened, {"email": address})

    assert (await desk.ask(email=address)).lead.id == opened.id


async def test_the_same_person_at_another_location_is_another_lead(desk: Desk) -> None:
    phone, address = phone_number(), mail()

    here, there = await desk.ask(phone=phone, email=address), await desk.ask(location=1, phone=phone, email=address)

    assert here.lead.id != there.lead.id
    assert there.created


async def test_the_same_person_at_another_tenant_is_another_lead(
    desk: Desk, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    phone = phone_number()
    other = Desk(tenancy, desk.leads, await make_tenant(tenancy, secret_box))
    lead = (await desk.ask(phone=phone)).lead
    await desk.do("opt_out", lead, None, "tests")

    theirs = await other.ask(phone=phone)

    assert theirs.created
    assert theirs.lead.opted_out == []


async def test_twenty_enquiries_at_the_same_moment_are_one_lead(desk: Desk) -> None:
    for phone in (phone_number(), phone_number(), phone_number()):  # the first round opens the connections
        received = await asyncio.gather(*(desk.ask(phone=phone, email=mail()) for _ in range(20)))

        assert len({one.lead.id for one in received}) == 1
        assert sum(one.created for one in received) == sum(one.enrolled for one in received) == 1
        assert await desk.touches(received[0].lead) == [(1, 1, "SCHEDULED")]


async def test_enquiries_that_share_addresses_crosswise_do_not_deadlock(desk: Desk) -> None:
    phones, mails = [phone_number() for _ in range(2)], [mail() for _ in range(2)]

    received = await asyncio.gather(
        *(desk.ask(phone=phones[number % 2], email=mails[number // 2 % 2]) for number in range(20))
    )

    assert len({one.lead.id for one in received}) <= 2


async def test_a_returning_customer_who_asks_twice_at_once_is_enrolled_once(desk: Desk) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead
    await desk.do("move", lead, LeadStatus.LOST, "tests")

    received = await asyncio.gather(*(desk.ask(phone=phone) for _ in range(8)))

    assert sum(one.enrolled for one in received) == 1
    assert (await desk.row(lead))["enrolment"] == 2


async def test_an_address_that_opted_out_is_not_written_to_by_a_new_lead(desk: Desk) -> None:
    phone = phone_number()
    first = (await desk.ask(phone=phone)).lead
    await desk.do("opt_out", first, None, "STOP")

    there = await desk.ask(location=1, phone=phone)

    assert (there.created, there.lead.status) == (True, "OPTED_OUT")
    assert there.lead.opted_out == ["SMS", "WHATSAPP"]
    assert await desk.touches(there.lead) == []


async def test_an_opt_out_outlives_the_address_on_the_lead(desk: Desk) -> None:
    phone = phone_number()
    first = (await desk.ask(phone=phone, email=mail())).lead
    await desk.do("opt_out", first, [Channel.SMS, Channel.WHATSAPP], "STOP")
    await desk.do("correct", first, {"phone": phone_number()})
    assert (await desk.row(first))["opted_out"] == []

    again = await desk.ask(phone=phone)

    assert (again.created, again.lead.status) == (True, "OPTED_OUT")


async def test_the_channel_that_is_left_is_used(desk: Desk) -> None:
    phone = phone_number()
    first = (await desk.ask(phone=phone)).lead
    await desk.do("opt_out", first, None, "STOP")

    there = await desk.ask(location=1, phone=phone, email=mail())

    assert (there.lead.status, there.lead.opted_out) == ("NEW", ["SMS", "WHATSAPP"])
    assert await desk.touches(there.lead) == [(1, 1, "SCHEDULED")]


async def test_a_returning_customer_who_opted_out_is_left_in_peace(desk: Desk) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead
    await desk.do("opt_out", lead, None, "STOP")
    await desk.do("move", lead, LeadStatus.WON, "tests")

    again = await desk.ask(phone=phone)

    assert (again.lead.status, again.lead.enrolment) == ("OPTED_OUT", 2)
    assert await desk.touches(lead) == [(1, 1, "CANCELLED")]


async def test_an_opt_out_reaches_every_lead_with_the_address(desk: Desk) -> None:
    phone, address = phone_number(), mail()
    here = (await desk.ask(phone=phone, email=address)).lead
    there = (await desk.ask(location=1, phone=phone)).lead
    by_mail = (await desk.ask(location=1, email=address)).lead
    stranger = (await desk.ask(phone=phone_number())).lead

    await desk.do("opt_out", here, [Channel.SMS, Channel.WHATSAPP], "STOP")

    states = [((row := await desk.row(lead))["status"], row["opted_out"]) for lead in (here, there, by_mail, stranger)]
    assert states == [("NEW", ["SMS", "WHATSAPP"]), ("OPTED_OUT", ["SMS", "WHATSAPP"]), ("NEW", []), ("NEW", [])]
    assert await desk.touches(there) == [(1, 1, "CANCELLED")]
    assert await desk.touches(here) == [(1, 1, "SCHEDULED")]

    await desk.do("opt_out", here, None, "unsubscribed")
    assert (await desk.row(here))["status"] == (await desk.row(by_mail))["status"] == "OPTED_OUT"


async def erase(desk: Desk, database: TestDatabase, lead: Lead) -> None:
    """What an erasure does: the hashes are kept, then every row of the person goes."""
    await desk.do("before_erasure", lead)
    engine = create_async_engine(database_url(database.admin_url))
    async with engine.begin() as connection:
        for table in ("scheduled_messages", "lead_events", "consents"):
            await connection.execute(text(f"DELETE FROM {table} WHERE lead_id = :id"), {"id": lead.id})  # noqa: S608 - our own names
        await connection.execute(text("DELETE FROM leads WHERE id = :id"), {"id": lead.id})
    await engine.dispose()


async def test_who_was_erased_is_not_written_to_when_the_crm_tells_of_them_again(
    desk: Desk, database: TestDatabase
) -> None:
    phone, address = phone_number(), mail()
    lead = (await desk.ask(phone=phone, email=address)).lead

    await erase(desk, database, lead)
    assert await desk.rows("SELECT 1 FROM leads WHERE id = :id", id=lead.id) == []
    again = await desk.ask(phone=phone, email=address)

    assert (again.created, again.lead.id == lead.id) == (True, False)
    assert (again.lead.status, again.lead.opted_out) == ("OPTED_OUT", ["EMAIL", "SMS", "WHATSAPP"])
    assert await desk.touches(again.lead) == []
    stored = await desk.rows("SELECT address_hash FROM opt_outs")
    assert not any(value.encode() in row["address_hash"] for row in stored for value in (phone, address))


@pytest.mark.parametrize(
    ("asked_as", "asks_as", "same"),
    [
        ("Ada.Lovelace@Example.com", "ada.lovelace@example.com", True),
        (" ada@example.com ", "ADA@EXAMPLE.COM", True),
        ("ada.lovelace@example.com", "adalovelace@example.com", False),
        ("ada+tint@example.com", "ada@example.com", False),
    ],
)
async def test_case_is_no_difference_between_mail_addresses_and_a_dot_or_a_tag_is(
    desk: Desk, asked_as: str, asks_as: str, same: bool
) -> None:
    lead = (await desk.ask(email=known_email(asked_as))).lead
    await desk.do("opt_out", lead, None, "unsubscribed")

    there = (await desk.ask(location=1, email=known_email(asks_as))).lead

    assert (there.status == "OPTED_OUT") == same


async def test_an_opt_out_by_whatsapp_id_holds_when_the_number_becomes_known(desk: Desk) -> None:
    user, phone, address = f"US.{secrets.token_hex(6)}", phone_number(), mail()
    lead = (await desk.ask(whatsapp_user_id=user, email=address)).lead
    await desk.do("opt_out", lead, [Channel.SMS, Channel.WHATSAPP], "STOP")

    again = (await desk.ask(phone=phone, email=address)).lead

    assert (again.id, again.phone) == (lead.id, phone)
    assert (await desk.row(lead))["opted_out"] == ["SMS", "WHATSAPP"]

    assert await desk.do("opt_in", again, [Channel.SMS, Channel.WHATSAPP], "START")
    assert (await desk.row(lead))["opted_out"] == []
    await desk.ask(phone=phone, email=address)
    assert (await desk.row(lead))["opted_out"] == []


async def test_opting_in_brings_back_the_channel_asked_for_and_no_other(desk: Desk) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone, email=mail())).lead
    other = (await desk.ask(location=1, phone=phone)).lead
    await desk.do("opt_out", lead, None, "STOP")

    assert await desk.do("opt_in", lead, [Channel.SMS], "START")
    assert not await desk.do("opt_in", lead, [Channel.SMS], "START")

    states = [((row := await desk.row(one))["status"], row["opted_out"]) for one in (lead, other)]
    assert states == [("ENGAGED", ["EMAIL", "WHATSAPP"]), ("ENGAGED", ["WHATSAPP"])]
    assert (await desk.kinds(lead)).count("lead.opted_in") == 1
    assert (await desk.ask(location=1, phone=phone)).lead.opted_out == ["WHATSAPP"]


async def test_an_opt_out_is_stored_without_the_address(desk: Desk) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead

    await desk.do("opt_out", lead, None, "STOP")
    await desk.do("opt_out", lead, None, "STOP")

    stored = await desk.rows("SELECT channel, reason, address_hash FROM opt_outs ORDER BY channel")
    assert [(row["channel"], row["reason"]) for row in stored] == [("SMS", "STOP"), ("WHATSAPP", "STOP")]
    assert not any(phone.encode() in row["address_hash"] for row in stored)
    assert (await desk.kinds(lead)).count("lead.opted_out") == 1


async def test_a_lead_moves_by_what_happens_only_as_the_table_allows(desk: Desk) -> None:
    lead = (await desk.ask(phone=phone_number())).lead

    assert await desk.do("move", lead, LeadStatus.BOOKED, "booked") is True
    assert await desk.do("move", lead, LeadStatus.BOOKED, "booked") is False
    assert await desk.do("move", lead, LeadStatus.CONTACTED, "late receipt") is False

    assert (await desk.row(lead))["status"] == "BOOKED"
    assert await desk.touches(lead) == [(1, 1, "CANCELLED")]
    assert await desk.kinds(lead) == ["lead.created", "lead.status"]
    assert await desk.audited() == []


async def test_staff_may_set_any_status_and_it_is_audited(desk: Desk) -> None:
    lead = (await desk.ask(phone=phone_number())).lead
    await desk.do("set_status", lead, LeadStatus.WON)
    await desk.do("set_status", lead, LeadStatus.CONTACTED)
    await desk.do("set_status", lead, LeadStatus.CONTACTED)

    assert (await desk.row(lead))["status"] == "CONTACTED"
    assert await desk.audited() == [
        ("lead.set_status", {"from": "NEW", "to": "WON"}),
        ("lead.set_status", {"from": "WON", "to": "CONTACTED"}),
    ]


async def test_paused_touches_go_on_where_they_stopped(desk: Desk) -> None:
    lead = (await desk.ask(phone=phone_number())).lead
    await desk.do("pause", lead, "tests")
    await desk.do("pause", lead, "tests")
    assert await desk.touches(lead) == [(1, 1, "CANCELLED")]
    assert (await desk.row(lead))["touches_paused"] is True

    await desk.do("resume", lead)
    await desk.do("resume", lead)

    assert await desk.touches(lead) == [(1, 1, "SCHEDULED")]
    assert (await desk.row(lead))["touches_paused"] is False
    assert await desk.kinds(lead) == ["lead.created", "touches.paused", "touches.resumed"]


async def test_touches_that_ended_resume_after_staff_reopened_the_lead(desk: Desk) -> None:
    lead = (await desk.ask(phone=phone_number())).lead
    await desk.do("move", lead, LeadStatus.BOOKED, "tests")

    with pytest.raises(BadInputError, match="set it to CONTACTED first") as caught:
        await desk.do("resume", lead)
    assert caught.value.code == "TOUCHES_ENDED"

    await desk.do("set_status", lead, LeadStatus.CONTACTED)
    await desk.do("resume", lead)
    assert await desk.touches(lead) == [(1, 1, "SCHEDULED")]


async def test_every_consent_is_a_line_of_its_own(desk: Desk) -> None:
    phone = phone_number()
    yes = ConsentGiven(Channel.SMS, True, "form", wording="I agree", ip="192.0.2.1")
    lead = (await desk.ask(phone=phone, consents=[yes, ConsentGiven(Channel.EMAIL, True, "form")])).lead
    assert lead.consented == ["EMAIL", "SMS"]

    again = await desk.ask(phone=phone, consents=[ConsentGiven(Channel.SMS, False, "phone call")])

    assert again.lead.consented == ["EMAIL"]
    lines = await desk.rows("SELECT channel, granted, source, wording, host(ip) AS ip FROM consents ORDER BY id")
    assert [tuple(line.values()) for line in lines] == [
        ("SMS", True, "form", "I agree", "192.0.2.1"),
        ("EMAIL", True, "form", None, None),
        ("SMS", False, "phone call", None, None),
    ]


async def test_staff_corrects_what_customers_mistyped(desk: Desk) -> None:
    lead = (await desk.ask(phone=phone_number(), first_name="Adda")).lead
    address = mail()

    await desk.do("correct", lead, {"first_name": "Ada", "email": address})
    await desk.do("correct", lead, {"first_name": "Ada"})

    row = await desk.row(lead)
    assert (row["first_name"], row["email"]) == ("Ada", address)
    assert await desk.audited() == [("lead.corrected", {"fields": ["email", "first_name"]})]
    assert await desk.kinds(lead) == ["lead.created", "lead.updated"]


async def test_a_lead_keeps_an_address(desk: Desk) -> None:
    phone = phone_number()
    lead = (await desk.ask(phone=phone)).lead

    with pytest.raises(BadInputError, match="give one of them"):
        await desk.do("correct", lead, {"phone": None, "first_name": "Ada"})

    row = await desk.row(lead)
    assert (row["phone"], row["first_name"]) == (phone, None)


async def test_an_address_that_opted_out_brings_its_opt_out_along(desk: Desk) -> None:
    refused = phone_number()
    other = (await desk.ask(phone=refused)).lead
    await desk.do("opt_out", other, None, "STOP")
    lead = (await desk.ask(location=1, phone=phone_number())).lead

    await desk.do("correct", lead, {"phone": refused})

    row = await desk.row(lead)
    assert (row["opted_out"], row["status"]) == (["SMS", "WHATSAPP"], "OPTED_OUT")
    assert await desk.touches(lead) == [(1, 1, "CANCELLED")]


async def test_two_opt_outs_of_one_number_at_once_do_not_deadlock(desk: Desk) -> None:
    for _ in range(3):
        phone = phone_number()
        leads = [(await desk.ask(location=number, phone=phone)).lead for number in range(2)]

        await asyncio.gather(*(desk.do("opt_out", lead, None, "STOP") for lead in (*leads, *leads)))

        assert [(await desk.row(lead))["status"] for lead in leads] == ["OPTED_OUT"] * 2


async def test_a_lead_of_nobody_is_not_found(desk: Desk) -> None:
    async with desk.tenancy.write(desk.tenant.scope) as session:
        with pytest.raises(NotFoundError, match="there is no lead"):
            await locked(session, UUID(int=7))
