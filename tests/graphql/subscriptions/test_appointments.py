"""Events of appointments: those alone, with the appointment as it is now."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.conftest import Live

QUERY = """
subscription($locationIds: [ID!], $after: String) {
  appointmentEvents(locationIds: $locationIds, after: $after) { cursor kind appointment { id status location { id } } }
}"""
INSERT = """
INSERT INTO appointments (tenant_id, location_id, lead_id, bay, during, status, created_at)
VALUES (:tenant, :location, :lead, 1, tstzrange(now(), now() + interval '1 hour'), 'CONFIRMED', now()) RETURNING id"""


async def book(live: Live, franchise: Franchise) -> UUID:
    """An appointment with its event, after an event of another kind and one that names no appointment."""
    place, lead = franchise.tenant.location, franchise.lead.id
    async with live.tenancy.write(franchise.tenant.scope) as session:
        values = {"tenant": franchise.tenant.id, "location": place, "lead": lead}
        key: UUID = (await session.execute(text(INSERT), values)).scalar_one()
        session.record("test.other", location_id=place, lead_id=lead)
        session.record("appointment.unnamed", location_id=place, lead_id=lead)
        detail = {"appointmentId": str(key)}
        session.record("appointment.booked", location_id=place, lead_id=lead, detail=detail)
    return key


async def test_appointment_events_carry_the_appointment(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("live", QUERY)
        await peer.in_step()
        key = await book(live, ours)
        heard = await peer.hear()
        await peer.subscribe("replay", QUERY, after="lev_0")
        again = await peer.hear()
        await peer.in_step()
    event = heard["payload"]["data"]["appointmentEvents"]
    assert again["payload"]["data"]["appointmentEvents"] == event
    assert event["kind"] == "appointment.booked"
    shown = {"id": f"appt_{key}", "status": "CONFIRMED", "location": {"id": ours.location_id}}
    assert event["appointment"] == shown


async def test_appointments_of_others_are_not_told(live: Live, ours: Franchise, theirs: Franchise) -> None:
    elsewhere = live.api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])
    async with live.connected(elsewhere) as agent, live.connected(theirs.owner) as stranger:
        for peer in (agent, stranger):
            await peer.subscribe("live", QUERY, locationIds=[ours.location_id])
            await peer.in_step()
        await book(live, ours)
        await book(live, theirs)
        for peer in (agent, stranger):
            await peer.subscribe("replay", QUERY, locationIds=[ours.location_id], after="lev_0")
            await peer.in_step()
