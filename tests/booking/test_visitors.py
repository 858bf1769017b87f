"""Visitors of a booking page: they book for themselves, and see nothing of anybody."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.tenancy.tokens import Role
from tests.booking.desk import Desk
from tests.factories import phone_number
from tests.graphql.server import Api

SLUG = "sun-shade-tint-los-angeles"
SHOWN = """{ appointment { id status localStart manageUrl services { name } lead { id firstName phone status } }
  errors { code field message } }"""
BOOK = f"mutation($i: BookAppointmentInput!) {{ bookAppointment(input: $i) {SHOWN} }}"
HOLD = f"mutation($i: HoldSlotInput!) {{ holdSlot(input: $i) {SHOWN} }}"


class Visitor:
    """With a token of the desk's location, and of a lead if they came by its link."""

    def __init__(self, api: Api, desk: Desk, lead_id: UUID | None = None, location_id: UUID | None = None) -> None:
        self.api, self.desk = api, desk
        place = location_id or desk.location_id
        self.token = api.token(
            desk.stack.tenant_id, Role.VISITOR, location_ids=[place], subject=f"visitor-{uuid4()}", lead_id=lead_id
        )

    def at(self, hours: int) -> dict[str, Any]:
        services = [f"svc_{self.desk.service_id}"]
        place = {"locationId": f"loc_{self.desk.location_id}", "serviceIds": services}
        return {**place, "startsAt": self.desk.at(hours).isoformat()}

    async def book(self, what: dict[str, Any], **given: Any) -> Any:
        wanted = {**what, "idempotencyKey": str(uuid4()), **given}
        return (await self.api.ask(self.token, BOOK, i=wanted)).ok["bookAppointment"]

    async def hold(self, hours: int, **given: Any) -> Any:
        wanted = {**self.at(hours), "idempotencyKey": str(uuid4()), **given}
        return (await self.api.ask(self.token, HOLD, i=wanted)).ok["holdSlot"]


def customer(phone: str | None = None) -> dict[str, Any]:
    return {"firstName": "Mallory", "phone": phone or phone_number()}


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["errors"]]


@pytest_asyncio.fixture(scope="module")
async def known(desk: Desk) -> Appointment:
    """Somebody who has booked before."""
    return await desk.book(desk.at(40), first_name="Secretname")


async def test_a_visitor_holds_and_books_and_sees_what_they_booked(api: Api, desk: Desk) -> None:
    visitor = Visitor(api, desk)

    held = (await visitor.hold(0))["appointment"]
    booked = (await visitor.book({"holdId": held["id"]}, customer=customer()))["appointment"]

    assert (booked["id"], booked["status"], booked["lead"]) == (held["id"], "CONFIRMED", None)
    assert booked["services"] == [{"name": "Front Windows"}]
    assert booked["localStart"].endswith(":00")
    assert "/a/" in booked["manageUrl"]


async def test_a_typed_number_shows_nothing_of_its_lead_and_changes_nothing_stored(
    api: Api, desk: Desk, known: Appointment
) -> None:
    [stored] = await desk.stack.rows("SELECT phone FROM leads WHERE id = :id", id=known.lead_id)
    visitor = Visitor(api, desk)

    answer = await visitor.book(visitor.at(2), customer=customer(stored["phone"]))

    assert (answer["errors"], answer["appointment"]["lead"]) == ([], None)
    assert "Secretname" not in str(answer)
    found = await desk.stack.rows("SELECT id, first_name FROM leads WHERE phone = :phone", phone=stored["phone"])
    assert found == [{"id": known.lead_id, "first_name": "Secretname"}]


async def test_a_visitor_names_no_lead_but_the_one_of_their_token(api: Api, desk: Desk, known: Appointment) -> None:
    stranger, own = Visitor(api, desk), Visitor(api, desk, lead_id=known.lead_id)
    before = await desk.stack.rows("SELECT count(*) FROM appointments")

    lead = f"lead_{known.lead_id}"
    assert codes(await stranger.book(stranger.at(4), leadId=lead)) == ["NOT_FOUND"]
    assert codes(await stranger.hold(4, leadId=lead)) == ["NOT_FOUND"]
    assert codes(await stranger.book(stranger.at(4))) == ["CUSTOMER_NEEDED"]
    assert await desk.stack.rows("SELECT count(*) FROM appointments") == before

    assert codes(await own.book(own.at(4))) == []
    [row] = await desk.stack.rows("SELECT lead_id FROM appointments WHERE starts_at = :at", at=desk.at(4))
    assert row["lead_id"] == known.lead_id


async def test_a_visitor_of_another_location_books_nothing_here(api: Api, desk: Desk) -> None:
    elsewhere = next(found for found in desk.stack.locations.values() if found != desk.location_id)
    visitor = Visitor(api, desk, location_id=elsewhere)

    assert codes(await visitor.book(visitor.at(6), customer=customer())) == ["NOT_FOUND"]
    assert codes(await visitor.hold(6)) == ["NOT_FOUND"]


async def test_a_hold_that_was_made_for_a_lead_is_not_booked_in_its_name(
    api: Api, desk: Desk, known: Appointment
) -> None:
    own, stranger = Visitor(api, desk, lead_id=known.lead_id), Visitor(api, desk)
    held = (await own.hold(8, leadId=f"lead_{known.lead_id}"))["appointment"]

    assert codes(await stranger.book({"holdId": held["id"]})) == ["CUSTOMER_NEEDED"]


async def test_lead_time_binds_visitors(api: Api, desk: Desk) -> None:
    visitor = Visitor(api, desk)
    soon, past = visitor.at(1 - 5 * 24), visitor.at(-5 * 24)

    assert codes(await visitor.book(soon, customer=customer())) == ["TOO_SOON"]
    assert codes(await visitor.book(past, customer=customer())) == ["IN_THE_PAST"]


async def test_a_visitor_moves_and_cancels_nothing_by_an_id(api: Api, desk: Desk, known: Appointment) -> None:
    visitor = Visitor(api, desk, lead_id=known.lead_id)
    cancel = "mutation($id: ID!) { cancelAppointment(id: $id) { errors { code } } }"

    answer = await api.ask(visitor.token, cancel, id=f"appt_{known.id}")

    assert answer.codes == ["FORBIDDEN"]
    [row] = await desk.stack.rows("SELECT status FROM appointments WHERE id = :id", id=known.id)
    assert row["status"] == "CONFIRMED"


START = """mutation($s: String!) { startBooking(locationSlug: $s) {
  session { id } visitorToken expiresAt chatToken errors { code field } } }"""


async def test_anybody_is_given_a_token_of_the_shop_and_books_with_it(api: Api, desk: Desk) -> None:
    started = (await api.ask(None, START, s=SLUG)).ok["startBooking"]
    visitor = Visitor(api, desk)
    visitor.token = started["visitorToken"]

    assert (started["session"], started["chatToken"], started["errors"]) == (None, None, [])
    assert codes(await visitor.book(visitor.at(60), customer=customer())) == []
    assert (await api.ask(visitor.token, "{ leads { totalCount } }")).codes == ["FORBIDDEN"]


async def test_each_visitor_is_somebody_else(api: Api, desk: Desk) -> None:
    one, other = Visitor(api, desk), Visitor(api, desk)
    for visitor in (one, other):
        visitor.token = (await api.ask(None, START, s=SLUG)).ok["startBooking"]["visitorToken"]

    first = await one.book(one.at(62), customer=customer(), idempotencyKey="the same")
    second = await other.book(other.at(64), customer=customer(), idempotencyKey="the same")

    assert first["appointment"]["id"] != second["appointment"]["id"]


async def test_a_shop_that_is_not_there_gives_no_token(api: Api) -> None:
    started = (await api.ask(None, START, s="no-such-shop")).ok["startBooking"]

    assert (started["visitorToken"], codes(started)) == (None, ["NOT_FOUND"])


async def test_a_site_that_the_shop_does_not_allow_gets_no_token(api: Api) -> None:
    body = {"query": START, "variables": {"s": SLUG}}
    answer = await api.http.post("/graphql", json=body, headers={"origin": "https://elsewhere.example.com"})

    assert [error["code"] for error in answer.json()["data"]["startBooking"]["errors"]] == ["ORIGIN_NOT_ALLOWED"]
