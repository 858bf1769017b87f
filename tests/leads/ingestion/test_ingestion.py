from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion import service as ingestion
from lead_orchestrator.leads.ingestion.models import SHOPMONKEY, EventStatus
from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.tenancy.secrets import SecretBox
from tests.factories import make_tenant, phone_number
from tests.holding import holding
from tests.leads.ingestion.shop import Outside, Shop, open_company, open_shop

APPOINTMENT = ["2026-12-01T18:00:00.000Z"]


async def test_a_website_quote_becomes_a_lead_with_its_first_touch_due(shop: Shop) -> None:
    phone = phone_number()
    order_id = await shop.quote(
        firstName=" Ada ",
        phone=phone,
        email="Ada@Example.com",
        vehicle={"year": 2021, "make": "Honda", "model": "Civic"},
        optIn=True,
        subscribed=False,
    )

    done = await shop.learn(order_id)

    lead = await shop.lead()
    assert (done.status, done.enrolled, done.lead_id) == (EventStatus.PROCESSED, True, lead["id"])
    assert (lead["first_name"], lead["last_name"], lead["phone"], lead["email"]) == (
        "Ada",
        "Example",
        phone,
        "ada@example.com",
    )
    assert lead["vehicle"] == {"year": 2021, "make": "Honda", "model": "Civic"}
    assert (lead["status"], lead["source"], lead["external_order_id"]) == ("NEW", "SHOPMONKEY_WEBHOOK", order_id)
    assert lead["location_id"] == shop.tenant.location
    assert lead["consented"] == ["SMS"]
    [touch] = await shop.rows("SELECT *, due_at <= app_now() AS due FROM scheduled_messages")
    assert (touch["touch_number"], touch["channel"], touch["status"], touch["due"]) == (1, "SMS", "SCHEDULED", True)


async def test_consent_is_recorded_with_its_source(shop: Shop) -> None:
    await shop.learn(await shop.quote(email="ada@example.com", optIn=True, subscribed=False))

    lines = await shop.rows("SELECT channel, granted, source FROM consents ORDER BY channel")
    assert [tuple(line.values()) for line in lines] == [
        ("EMAIL", False, "shopmonkey: emails.subscribed"),
        ("SMS", True, "shopmonkey: phoneNumbers.optIn"),
    ]


async def test_processing_twice_has_one_effect(shop: Shop) -> None:
    order_id = await shop.quote()
    event_id = await shop.tell(order_id)
    await shop.process(event_id)

    again = await shop.services.ingestion.process(shop.tenant.id, event_id)
    other = await shop.learn(order_id)

    assert again is None
    assert (other.status, other.enrolled) == (EventStatus.PROCESSED, False)
    assert len(await shop.leads()) == 1
    assert await shop.touches() == [(1, 1, "SCHEDULED")]
    assert len(await shop.rows("SELECT 1 FROM consents")) == 1


async def test_many_workers_at_once_have_one_effect(shop: Shop) -> None:
    process = shop.services.ingestion.process
    for _ in range(3):  # the first round opens the connections
        order_id = await shop.quote()
        events = [await shop.tell(order_id) for _ in range(4)]

        done = await asyncio.gather(*(process(shop.tenant.id, event_id) for event_id in events * 3))

        assert sum(result is not None and result.enrolled for result in done) == 1

    assert len(await shop.leads()) == 3
    assert await shop.touches() == [(1, 1, "SCHEDULED")] * 3
    # they took turns: no constraint had to stop anybody
    assert await shop.rows("SELECT error FROM webhook_events WHERE error IS NOT NULL OR status <> 'PROCESSED'") == []


@pytest.mark.parametrize(
    ("columns", "status", "order_state"),
    [
        ({"authorized": True}, "BOOKED", "BOOKED"),
        ({"appointmentDates": APPOINTMENT}, "BOOKED", "BOOKED"),
        ({"invoiced": True}, "WON", "WON"),
        ({"paid": True}, "WON", "WON"),
        ({"authorized": True, "appointmentDates": APPOINTMENT, "invoiced": True, "paid": True}, "WON", "WON"),
        ({"deleted": True}, "LOST", "LOST"),
    ],
)
async def test_a_later_state_of_the_order_moves_the_lead_and_ends_its_touches(
    shop: Shop, columns: dict[str, Any], status: str, order_state: str
) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    await shop.change(order_id, **columns)

    done = await shop.learn(order_id)

    assert (done.status, done.outcome) == (EventStatus.PROCESSED, f"lead {status.lower()}")
    assert (await shop.lead())["status"] == status
    assert await shop.touches() == [(1, 1, "CANCELLED")]
    assert await shop.rows("SELECT state FROM lead_orders") == [{"state": order_state}]
    moved = await shop.rows("SELECT detail FROM lead_events WHERE kind = 'lead.status'")
    assert moved == [{"detail": {"from": "NEW", "to": status}}]


async def test_the_touches_end_in_the_transaction_that_moves_the_lead(shop: Shop) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    await shop.change(order_id, paid=True)

    await shop.learn(order_id)

    statement = "SELECT xmin::text AS writer FROM {}"
    writers = [
        (await shop.rows(statement.format(table)))[0] for table in ("leads", "scheduled_messages", "lead_orders")
    ]
    assert writers[0] == writers[1] == writers[2]


async def test_an_order_that_is_gone_loses_its_lead(shop: Shop) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    await shop.delete(order_id, hard=True)

    await shop.learn(order_id)

    assert (await shop.lead())["status"] == "LOST"
    assert await shop.touches() == [(1, 1, "CANCELLED")]


async def test_a_conversation_in_shopmonkey_pauses_the_touches(shop: Shop) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    await shop.change(order_id, messageCount=1)

    await shop.learn(order_id)

    lead = await shop.lead()
    assert (lead["status"], lead["touches_paused"]) == ("NEW", True)
    assert await shop.touches() == [(1, 1, "CANCELLED")]


async def test_a_later_state_is_applied_to_a_paused_lead(shop: Shop) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    await shop.change(order_id, messageCount=1)
    await shop.learn(order_id)
    await shop.change(order_id, authorized=True)

    await shop.learn(order_id)

    assert (await shop.lead())["status"] == "BOOKED"


async def test_a_lead_whose_other_quote_is_open_survives_a_deletion(shop: Shop) -> None:
    phone = phone_number()
    first, second = await shop.quote(phone=phone), await shop.quote(phone=phone)
    await shop.learn(first)
    assert (await shop.learn(second)).outcome == "linked to its lead"
    await shop.delete(first)

    done = await shop.learn(first)

    assert done.outcome == "deleted; its lead has another open order"
    assert (await shop.lead())["status"] == "NEW"
    assert await shop.touches() == [(1, 1, "SCHEDULED")]

    await shop.delete(second)
    await shop.learn(second)
    assert (await shop.lead())["status"] == "LOST"


async def test_a_returning_customers_new_quote_starts_again(shop: Shop) -> None:
    phone = phone_number()
    first = await shop.quote(phone=phone)
    await shop.learn(first)
    await shop.change(first, paid=True)
    await shop.learn(first)
    second = await shop.quote(phone=phone)

    done = await shop.learn(second)

    assert (done.outcome, done.enrolled) == ("lead enrolled again", True)
    assert (await shop.lead())["status"] == "NEW"
    assert await shop.touches() == [(1, 1, "CANCELLED"), (2, 1, "SCHEDULED")]


@pytest.mark.parametrize("paid_first", [True, False])
@pytest.mark.parametrize(
    ("columns", "state"), [({"paid": True}, "WON"), ({"deleted": True}, "LOST"), ({"authorized": True}, "BOOKED")]
)
async def test_which_of_two_orders_was_heard_of_first_changes_nothing(
    shop: Shop, columns: dict[str, Any], state: str, paid_first: bool
) -> None:
    # given a lead whose quote has come to something, and a new quote of the same person; nothing of both was heard
    phone = phone_number()
    first = await shop.quote(phone=phone)
    await shop.learn(first)
    await shop.change(first, **columns)
    second = await shop.quote(phone=phone)

    # when both are heard of, in one order or the other
    for order_id in (first, second) if paid_first else (second, first):
        await shop.learn(order_id)

    # then the new quote joins the lead or opens a new enrolment by what the first one is
    lead = await shop.lead()
    expected = ("BOOKED", 1) if state == "BOOKED" else ("NEW", 2)
    assert (lead["status"], lead["enrolment"]) == expected
    states = await shop.rows("SELECT state FROM lead_orders ORDER BY created_at")
    assert [row["state"] for row in states] == [state, "QUOTE"]


async def test_a_replayed_older_order_of_a_person_does_not_undo_the_newer_state(shop: Shop) -> None:
    phone = phone_number()
    first, second = await shop.quote(phone=phone), await shop.quote(phone=phone)
    events = [await shop.tell(order_id) for order_id in (first, second) for _ in range(3)]

    await asyncio.gather(*(shop.services.ingestion.process(shop.tenant.id, event_id) for event_id in events))

    assert (await shop.lead())["enrolment"] == 1
    assert await shop.touches() == [(1, 1, "SCHEDULED")]
    assert len(await shop.rows("SELECT 1 FROM lead_orders")) == 2


async def test_an_order_of_an_earlier_enrolment_does_not_touch_the_running_one(shop: Shop) -> None:
    phone = phone_number()
    first = await shop.quote(phone=phone)
    await shop.learn(first)
    await shop.change(first, paid=True)
    await shop.learn(first)
    second = await shop.quote(phone=phone)
    await shop.learn(second)
    await shop.change(first, complaint="again")

    assert (await shop.learn(first)).outcome == "an order of an earlier enrolment"
    assert (await shop.lead())["status"] == "NEW"


async def test_an_old_quote_does_not_keep_a_deleted_new_one_alive(shop: Shop) -> None:
    # given a lead that was lost though its first quote still stands, and that asked again
    phone = phone_number()
    first = await shop.quote(phone=phone)
    lead_id = (await shop.learn(first)).lead_id
    assert lead_id is not None
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        lead = await locked(session, lead_id)
        await shop.services.leads.set_status(session, lead, LeadStatus.LOST)
    second = await shop.quote(phone=phone)
    await shop.learn(second)

    # when the second quote is deleted
    await shop.delete(second)
    await shop.learn(second)

    # then nobody is written to about it
    assert (await shop.lead())["status"] == "LOST"
    assert await shop.touches() == [(1, 1, "CANCELLED"), (2, 1, "CANCELLED")]


@pytest.mark.parametrize("columns", [{"authorized": True}, {"name": "Walk-in"}, {"messageCount": 2}])
async def test_an_order_that_is_no_website_quote_is_ignored(shop: Shop, columns: dict[str, Any]) -> None:
    order_id = await shop.quote(order=columns)

    done = await shop.learn(order_id)

    assert done.status is EventStatus.IGNORED
    assert done.outcome.startswith("not a website quote: ")
    assert await shop.leads() == []


async def test_an_order_of_another_companys_key_does_not_exist(shop: Shop, outside: Outside) -> None:
    other = await open_shop(outside)
    order_id = await other.quote()

    done = await shop.learn(order_id)

    assert (done.status, done.outcome) == (EventStatus.IGNORED, "ShopMonkey has no such order")
    assert await shop.leads() == []


async def test_an_order_of_a_location_that_was_not_onboarded_is_ignored(shop: Shop) -> None:
    shop.company.locations["elsewhere"] = {**next(iter(shop.company.locations.values())), "id": "elsewhere"}
    order_id = await shop.quote()
    shop.company.orders[order_id]["locationId"] = "elsewhere"

    done = await shop.learn(order_id)

    assert (done.status, done.outcome) == (EventStatus.IGNORED, "its location is not one of the tenant's")


async def test_a_customer_who_cannot_be_reached_is_no_lead(shop: Shop) -> None:
    done = await shop.learn(await shop.quote(phone=None))

    assert done.status is EventStatus.IGNORED
    assert done.outcome == "its customer has neither a phone number nor a mail address"
    assert await shop.leads() == []


async def test_a_customer_with_a_mail_address_only_is_mailed(shop: Shop) -> None:
    await shop.learn(await shop.quote(phone=None, email="ada@example.com"))

    assert await shop.rows("SELECT channel FROM scheduled_messages") == [{"channel": "EMAIL"}]


async def test_a_customer_who_is_shown_later_than_the_order_is_waited_for(shop: Shop) -> None:
    order_id = await shop.quote()
    hidden = dict(shop.company.customers)
    shop.company.customers.clear()
    event_id = await shop.tell(order_id)

    waits = await shop.process(event_id)
    shop.company.customers.update(hidden)
    await due_now(shop)
    done = await shop.process(event_id)

    assert (waits.status, waits.outcome) == (EventStatus.RECEIVED, "ShopMonkey does not show its customer yet")
    assert done.outcome == "lead created"


async def test_a_customer_who_never_appears_is_given_up_in_words(shop: Shop) -> None:
    order_id = await shop.quote()
    shop.company.customers.clear()
    event_id = await shop.tell(order_id)

    for _ in range(2):
        assert (await shop.process(event_id)).status is EventStatus.RECEIVED
        await due_now(shop)
    done = await shop.process(event_id)

    assert (done.status, done.outcome) == (EventStatus.IGNORED, "ShopMonkey has no such customer")


async def test_hostile_text_of_a_customer_is_stored_clean(shop: Shop) -> None:
    order_id = await shop.quote(email="ada@example.com", vehicle={"year": 2020, "make": "Honda", "model": "Civic"})
    [customer], [vehicle] = shop.company.customers.values(), shop.company.vehicles.values()
    customer.update(firstName="A\u0000d\u202ea\n", lastName="x" * 5000, postalCode="\u0000")
    customer["emails"][0]["email"] = "a\u0000@example.com"
    customer["phoneNumbers"][0].update(number="(213) 555-0101", country="United States")
    vehicle.update(make="Ho\u0000nda", model="C" * 5000)

    await shop.learn(order_id)

    lead = await shop.lead()
    assert (lead["first_name"], len(lead["last_name"]), lead["postal_code"]) == ("A d a", 100, None)
    assert (lead["email"], lead["phone"]) == (None, "+12135550101")
    assert (lead["vehicle"]["make"], len(lead["vehicle"]["model"])) == ("Ho nda", 100)


async def test_an_older_fetch_never_wins_over_a_newer_one(shop: Shop, outside: Outside) -> None:
    # given a quote that is a lead already
    order_id = await shop.quote()
    await shop.learn(order_id)
    slow, quick = await shop.tell(order_id), await shop.tell(order_id)

    # when one worker fetches the order, hears back late, and meanwhile another applied its deletion
    async with holding(outside.world, "shopmonkey", match=order_id, count=1, when="after") as hold:
        late = asyncio.create_task(shop.process(slow))
        await hold.reached()
        await shop.delete(order_id, hard=True)
        assert (await shop.process(quick)).outcome == "lead lost"
    await late

    # then the deletion stands
    assert (await shop.lead())["status"] == "LOST"
    assert await shop.rows("SELECT state FROM lead_orders") == [{"state": "LOST"}]


async def test_a_worker_that_knew_the_quote_late_does_not_bring_it_back(shop: Shop, outside: Outside) -> None:
    # given a quote nobody has processed yet; one worker fetched it and is late
    order_id = await shop.quote()
    slow, quick = await shop.tell(order_id), await shop.tell(order_id)
    async with holding(outside.world, "shopmonkey", match=order_id, count=1, when="after") as hold:
        late = asyncio.create_task(shop.process(slow))
        await hold.reached()

        # when it is authorized and another worker sees that it is no quote any more
        shop.company.orders[order_id] = {**shop.company.orders[order_id], "authorized": True}
        assert (await shop.process(quick)).status is EventStatus.IGNORED

    # then the late worker does not write to the customer
    assert (await late).status is EventStatus.IGNORED
    assert await shop.leads() == []


async def test_a_worker_that_outlived_its_lease_leaves_the_event_to_its_successor(shop: Shop, outside: Outside) -> None:
    order_id = await shop.quote()
    event_id = await shop.tell(order_id)
    async with holding(outside.world, "shopmonkey", match=order_id, count=1, when="after") as hold:
        late = asyncio.create_task(shop.services.ingestion.process(shop.tenant.id, event_id))
        await hold.reached()
        await due_now(shop)

        done = await shop.process(event_id)

    assert done.enrolled
    assert await late is None
    assert (await shop.event(event_id))["outcome"] == "lead created"


async def test_a_failure_of_a_worker_that_lost_its_lease_does_not_undo_the_result(shop: Shop, outside: Outside) -> None:
    order_id = await shop.quote()
    event_id = await shop.tell(order_id)
    await outside.fault("error_500", count=1, match=order_id)
    async with holding(outside.world, "shopmonkey", match=order_id, count=1, when="after") as hold:
        late = asyncio.create_task(shop.services.ingestion.process(shop.tenant.id, event_id))
        await hold.reached()
        await due_now(shop)
        await shop.process(event_id)

    await late

    event = await shop.event(event_id)
    assert (event["status"], event["error"]) == ("PROCESSED", None)


async def test_a_lost_claim_can_put_nothing_off(shop: Shop) -> None:
    event_id = await shop.tell(await shop.quote())
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        lost = await repository.claim(session, event_id, timedelta(0), SHOPMONKEY)
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        taken = await repository.claim(session, event_id, ingestion.LEASE, SHOPMONKEY)
        assert lost is not None
        assert taken is not None

        await repository.put_off(session, lost, "too late", None)

    event = await shop.event(event_id)
    assert (event["status"], event["error"], event["attempts"]) == ("RECEIVED", None, 2)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error_500", "ShopMonkey is busy (http_500)"),
        ("error_429", "ShopMonkey is busy (http_429)"),
        ("waf_403", "ShopMonkey is busy (http_403)"),
    ],
)
async def test_a_busy_shopmonkey_is_asked_again_later(shop: Shop, outside: Outside, kind: str, error: str) -> None:
    order_id = await shop.quote()
    event_id = await shop.tell(order_id)
    await outside.fault(kind, count=1, seconds=30)

    put_off = await shop.process(event_id)

    assert (put_off.status, put_off.outcome) == (EventStatus.RECEIVED, error)
    event = await shop.event(event_id)
    wait = event["next_attempt_at"] - datetime.now(UTC)
    assert (event["status"], event["error"]) == ("RECEIVED", error)
    assert timedelta(seconds=20 if kind == "error_429" else 1) < wait < timedelta(seconds=40)
    assert await shop.services.ingestion.process(shop.tenant.id, event_id) is None  # not before its time

    await due_now(shop)
    assert (await shop.process(event_id)).outcome == "lead created"
    assert (await shop.event(event_id))["error"] is None


async def test_a_dropped_connection_is_tried_again(shop: Shop, outside: Outside) -> None:
    event_id = await shop.tell(await shop.quote())
    await outside.fault(
        "drop", count=2
    )  # a connection that was kept is tried anew at once: it may just have been too old

    assert (await shop.process(event_id)).status is EventStatus.RECEIVED
    await due_now(shop)
    assert (await shop.process(event_id)).enrolled


async def test_a_refused_key_is_visible_and_retried_slowly(shop: Shop, outside: Outside) -> None:
    event_id = await shop.tell(await shop.quote())
    await outside.fault("bad_credentials")

    await shop.process(event_id)

    event = await shop.event(event_id)
    assert (event["status"], event["error"]) == ("RECEIVED", "ShopMonkey does not accept the API key")
    assert event["next_attempt_at"] - datetime.now(UTC) > timedelta(minutes=10)


async def test_what_keeps_failing_is_given_up_visibly(shop: Shop, outside: Outside) -> None:
    event_id = await shop.tell(await shop.quote())
    await outside.fault("error_500")
    await shop.write("UPDATE webhook_events SET attempts = :n", n=ingestion.MOST_ATTEMPTS - 1)

    assert (await shop.process(event_id)).status is EventStatus.FAILED

    event = await shop.event(event_id)
    assert (event["status"], event["error"]) == ("FAILED", "ShopMonkey is busy (http_500)")
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        assert await repository.reopen(session, event_id)
    outside.world.faults.clear()
    assert (await shop.process(event_id)).enrolled


async def test_a_worker_that_died_is_replaced_when_its_lease_ends(shop: Shop) -> None:
    # given an event that a worker claimed and never finished
    event_id = await shop.tell(await shop.quote())
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        assert await repository.claim(session, event_id, ingestion.LEASE, SHOPMONKEY)

    # then nobody takes it while the lease lasts, and the sweep does afterwards
    assert await shop.services.ingestion.sweep(shop.tenant.id) == []
    await due_now(shop)
    assert shop.tenant.id in await shop.services.lookups.due_events()
    [done] = await shop.services.ingestion.sweep(shop.tenant.id)
    assert done.enrolled


async def test_an_order_that_trips_us_does_not_hold_up_the_others(shop: Shop, outside: Outside) -> None:
    # given an event whose order breaks our own code, and one behind it
    tripping = phone_number()
    first, second = await shop.tell(await shop.quote(phone=tripping)), await shop.tell(await shop.quote())
    services = shop.services
    client = ShopMonkeyClient(outside.http, services.settings.shopmonkey_base_url)
    leads = Leads(TrippingHasher(services.secrets, tripping))
    fragile = ingestion.Ingestion(services.tenancy, client, services.secrets, leads)

    # when both are swept
    done = await fragile.sweep(shop.tenant.id)

    # then the second is a lead and the first waits, visibly
    assert [result.outcome for result in done] == ["unexpected: ZeroDivisionError", "lead created"]
    assert (await shop.event(second))["status"] == "PROCESSED"
    event = await shop.event(first)
    assert (event["status"], event["error"]) == ("RECEIVED", "unexpected: ZeroDivisionError")


async def test_an_order_that_is_older_than_what_is_known_changes_nothing(shop: Shop) -> None:
    order_id = await shop.quote()
    await shop.learn(order_id)
    before = dict(shop.company.orders[order_id])
    await shop.change(order_id, authorized=True)
    await shop.learn(order_id)
    shop.company.orders[order_id] = before  # a replica that is behind

    assert (await shop.learn(order_id)).outcome == "older than what is known"
    assert await shop.rows("SELECT state FROM lead_orders") == [{"state": "BOOKED"}]


async def test_a_tenant_without_a_key_fails_visibly(outside: Outside) -> None:
    services = outside.services
    tenant = await make_tenant(services.tenancy, services.secrets, crm=False)
    shop = Shop(outside, open_company(outside.world, []), tenant)

    done = await shop.learn("some-order")

    assert (done.status, done.outcome) == (EventStatus.FAILED, "the tenant has no ShopMonkey key")


@dataclass(frozen=True)
class TrippingHasher:
    """Hashes every address but one."""

    secrets: SecretBox
    address: str

    def address_hash(self, tenant_id: UUID, kind: str, address: str) -> bytes:
        if address == self.address:
            raise ZeroDivisionError
        return self.secrets.address_hash(tenant_id, kind, address)


async def due_now(shop: Shop) -> None:
    """Let the waits of the inbox be over."""
    await shop.write(
        "UPDATE webhook_events SET next_attempt_at = now() - interval '1 second' WHERE status = 'RECEIVED'"
    )
