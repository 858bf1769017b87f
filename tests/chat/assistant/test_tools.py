"""The tools, called as a model calls them: whatever it writes, they work for this conversation only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.chat.tools.booking import MOST_BOOKED, MOST_HELD
from lead_orchestrator.chat.tools.models import Bound, Memory
from lead_orchestrator.chat.tools.toolbox import Toolbox, Tools, scope_of
from lead_orchestrator.leads.models import Lead
from tests.booking.calendar.shop import Shop
from tests.chat.talk import web_chat
from tests.factories import phone_number
from tests.messaging.leads import make_lead
from tests.stack import Stack


async def opened(stack: Stack, lead: Lead | None = None, **known: Any) -> Toolbox:
    """The tools of a new conversation."""
    talk = await web_chat(stack, lead=lead, verified=lead is not None)
    snapshot = await talk.snapshot()
    bound = Bound(stack.tenant_id, snapshot.location_id, talk.id, 1, lead.id if lead else None, "en", **known)
    services = stack.services
    return Tools(services.tenancy, services.booking, services.appointments, services.calendars.freshness).bound(
        bound, Memory()
    )


async def call(box: Toolbox, tool: str, /, **arguments: Any) -> Mapping[str, Any]:
    return await box.call(tool, json.dumps(arguments))


async def slots(box: Toolbox, **wanted: Any) -> list[str]:
    """Times for the full ceramic tint, by their handles."""
    found = await call(box, "search_services", query="ceramic tint")
    service = found["services"][0]["service"]
    free = await call(box, "free_slots", services=[service], **wanted)
    return [one["slot"] for one in free["free"]]


async def booked(stack: Stack, box: Toolbox) -> list[dict[str, Any]]:
    return await stack.rows(
        "SELECT DISTINCT a.id, a.lead_id, a.status FROM appointments a JOIN chat_tool_calls c"
        " ON c.handles::text LIKE '%' || a.id || '%'"
        " WHERE c.session_id = :id AND a.status = 'CONFIRMED'",
        id=box.bound.chat_id,
    )


async def test_services_are_found_in_both_languages_the_best_first(stack: Stack) -> None:
    box = await opened(stack)

    found = {
        query: (await call(box, "search_services", query=query))["services"][0]["name"]
        for query in (
            "ceramic tint on a Model 3",
            "polarizar el parabrisas",
            "two front windows please",
            "quitar el tinte viejo",
            "truck",
        )
    }

    assert list(found.values()) == [
        "Ultimate Full Vehicle Ceramic Tint",
        "Ultimate Windshield Ceramic Tint",
        "Ultimate Two Front Windows",
        "Old Tint Removal, Full Vehicle",
        "Ultimate Truck Ceramic Tint",
    ]


async def test_what_is_not_sold_is_not_found(stack: Stack) -> None:
    found = await call(await opened(stack), "search_services", query="pizza")

    assert found["services"] == []
    assert "Sunroof Tint" in found["note"]


async def test_a_hold_is_booked_under_the_name_of_its_time(stack: Stack) -> None:
    lead = await make_lead(stack)
    box = await opened(stack, lead)
    slot = (await slots(box))[0]

    held = await call(box, "hold_slot", slot=slot)
    done = await call(box, "book_slot", slot=slot, name=None, phone=None)

    [appointment] = await booked(stack, box)
    assert held["held"] == done["booked"]
    assert (appointment["id"], appointment["lead_id"]) == (box.memory.hold(slot), lead.id)


async def test_a_booking_that_is_made_again_after_a_crash_is_the_same_one(stack: Stack) -> None:
    box = await opened(stack, await make_lead(stack))
    slot = (await slots(box))[0]
    before = list(box.memory.calls)

    first = await call(box, "book_slot", slot=slot, name=None, phone=None)
    box.memory.calls = before
    again = await call(box, "book_slot", slot=slot, name=None, phone=None)

    assert first == again
    assert len({row["id"] for row in await booked(stack, box)}) == 1


async def test_handles_are_good_in_their_own_conversation_only(stack: Stack) -> None:
    box, other = await opened(stack, await make_lead(stack)), await opened(stack, await make_lead(stack))
    slot = (await slots(box))[0]
    service = next(iter(box.memory.calls[0].handles))

    assert "error" in await call(other, "book_slot", slot=slot, name=None, phone=None)
    assert "error" in await call(other, "free_slots", services=[service])
    assert await booked(stack, other) == []


async def test_postgres_itself_holds_the_tools_to_their_shop(stack: Stack) -> None:
    box = await opened(stack)

    async with stack.services.tenancy.write(scope_of(box.bound)) as session:
        shops = list(await session.scalars(text("SELECT id FROM locations")))

    assert len(stack.locations) > 1
    assert shops == [box.bound.location_id]


async def test_a_model_that_names_ids_of_ours_reaches_nothing(stack: Stack) -> None:
    victim = await make_lead(stack)
    box = await opened(stack, await make_lead(stack))
    [service] = await stack.rows("SELECT id FROM service_catalog LIMIT 1")
    attempts: list[tuple[str, Any]] = [
        ("free_slots", {"services": [str(service["id"])]}),
        ("free_slots", {"services": [f"svc_{service['id']}"]}),
        ("book_slot", {"slot": str(uuid4())}),
        ("book_slot", {"slot": (await slots(box))[0], "lead_id": str(victim.id)}),
        ("search_services", {"query": "tint", "tenant_id": str(uuid4())}),
        ("read_leads", {}),
        ("hand_over", ["a list"]),
        ("search_services", {"query": 7}),
        ("search_services", {"query": "x" * 5_000}),
        ("free_slots", {"services": [], "from_date": "yesterday"}),
    ]

    answers = [await box.call(tool, json.dumps(arguments)) for tool, arguments in attempts]
    nonsense = [await box.call("free_slots", broken) for broken in ("{", "[]", "null", "[" * 5_000, "\x00")]

    assert all("error" in answer for answer in (*answers, *nonsense)), answers
    assert await booked(stack, box) == []


async def test_a_typed_name_and_number_make_a_customer_and_open_nothing_of_an_existing_one(stack: Stack) -> None:
    known = await make_lead(stack, first_name="Known")
    box = await opened(stack)
    slot = (await slots(box))[0]

    asked = await call(box, "book_slot", slot=slot, name=None, phone=None)
    unreadable = await call(box, "book_slot", slot=slot, name="Eve", phone="12")
    done = await call(box, "book_slot", slot=slot, name="Eve Other", phone=known.phone)

    assert asked["needs"] == ["name", "phone"]
    assert unreadable["needs"] == ["phone"]
    assert "Known" not in json.dumps(done)
    [appointment] = await booked(stack, box)
    assert appointment["status"] == "CONFIRMED"


async def test_the_number_that_was_typed_at_the_beginning_stands_whatever_the_model_writes(stack: Stack) -> None:
    mine, theirs = phone_number(), phone_number()
    box = await opened(stack, name="Ada Example", phone=mine)

    await call(box, "book_slot", slot=(await slots(box))[0], name="Eve", phone=theirs)

    [appointment] = await booked(stack, box)
    [lead] = await stack.rows("SELECT first_name, phone FROM leads WHERE id = :id", id=appointment["lead_id"])
    assert (lead["first_name"], lead["phone"]) == ("Ada", mine)


async def test_nobody_takes_all_the_times_of_a_shop(stack: Stack) -> None:
    box = await opened(stack, await make_lead(stack))
    names = await slots(box)

    held = [await call(box, "hold_slot", slot=name) for name in names]
    taken = [await call(box, "book_slot", slot=name, name=None, phone=None) for name in names]

    assert sum("error" not in one for one in held) == MOST_HELD
    assert sum("error" not in one for one in taken) == MOST_BOOKED


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"near": "14:00"}, {"1:30 PM", "2:00 PM", "2:30 PM"}),
        ({"from_date": "2020-01-01"}, {"9:00 AM", "12:00 PM", "3:00 PM"}),
    ],
)
async def test_times_are_offered_near_to_what_is_wished_and_never_in_the_past(
    stack: Stack, wanted: dict[str, str], shown: set[str]
) -> None:
    box = await opened(stack)
    found = await call(box, "search_services", query="ceramic tint")

    free = await call(box, "free_slots", services=[found["services"][0]["service"]], **wanted)

    assert {one["when"].rpartition(" at ")[2] for one in free["free"]} == shown


async def test_the_words_are_in_the_customers_language(stack: Stack) -> None:
    box = await opened(stack)
    box.bound = replace(box.bound, language="es")

    hours = await call(box, "opening_hours")
    found = await call(box, "search_services", query="parabrisas")

    assert hours["hours"][0] == "lunes: 9:00 a 18:00"
    assert hours["hours"][6] == "domingo: cerrado"
    assert (found["services"][0]["price"], found["services"][0]["takes"]) == ("$325.00", "1 hora")


async def test_a_time_that_the_shop_has_just_entered_in_its_calendar_is_not_held(stack: Stack) -> None:
    shop, box = Shop(stack), await opened(stack)
    await shop.connect()
    await shop.sync()
    slot = (await slots(box))[0]
    offer = box.memory.offer(slot, shop.location_id)
    assert offer is not None
    await shop.event(offer.starts_at)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE google_credentials SET synced_at = now() - interval '10 minutes'"))

    held = await call(box, "hold_slot", slot=slot)

    assert "error" in held
    assert await shop.busy() != []
