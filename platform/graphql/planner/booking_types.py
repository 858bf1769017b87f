"""Appointments in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, literal_column, select

from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.booking.repository import AppointmentQuery
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.graphql.booking.types import APPOINTMENT_ORDER, AppointmentFilter
from lead_orchestrator.graphql.planner.catalog_types import SERVICE_FIELDS, money
from lead_orchestrator.graphql.planner.declare import Connection, Entity, Field, Leaf, Many, One, Root, Row, Target
from lead_orchestrator.graphql.planner.expressions import columns, identity, table
from lead_orchestrator.graphql.planner.pages import Terms, latest_first
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.models import Location

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]

_TERMS: Terms = {
    "status": lambda row, bind: row.c.status == func.any(bind("status")),
    "location_ids": lambda row, bind: row.c.location_id == func.any(bind("location_ids")),
    "begins_from": lambda row, bind: row.c.starts_at >= bind("begins_from"),
    "begins_to": lambda row, bind: row.c.starts_at < bind("begins_to"),
    "lead_id": lambda row, bind: row.c.lead_id == bind("lead_id"),
}


def _filter(arguments: Mapping[str, Any]) -> AppointmentQuery:
    given = arguments.get("filter") or {}
    return AppointmentFilter(
        status=given.get("status"),
        location_ids=given.get("locationIds"),
        from_=given.get("from"),
        to=given.get("to"),
        lead_id=given.get("leadId"),
    ).query()


APPOINTMENTS = latest_first(APPOINTMENT_ORDER, "starts_at", Kind.APPOINTMENT, _TERMS, _filter)


def _booked_services() -> Row:
    """The services of appointments, each row with its appointment and its place there."""
    booked, service = table(AppointmentService), table(Service)
    link = (service.c.tenant_id == booked.c.tenant_id) & (service.c.id == booked.c.service_id)
    joined = service.join(booked, link)
    return select(*service.c, booked.c.appointment_id, booked.c.position).select_from(joined).subquery()


def _local_start(row: Row) -> Any:
    place = table(Location).alias()
    mine = (place.c.tenant_id == row.c.tenant_id) & (place.c.id == row.c.location_id)
    zone = select(place.c.timezone).where(mine).correlate(row).scalar_subquery()
    return func.to_char(func.timezone(zone, row.c.starts_at), literal_column("'Dy YYYY-MM-DD HH24:MI'"))


_NODE = frozenset({"Node"})

APPOINTMENT = Entity(
    "Appointment",
    lambda: table(Appointment),
    {
        "id": identity(Kind.APPOINTMENT),
        **columns("starts_at", "ends_at", "status", "bay", "notes", "hold_expires_at", "shopmonkey_appointment_id"),
        **columns("sync_status", "sync_error"),
        "total": money("total_cents"),
        "localStart": Leaf(_local_start),
        "lead": One("Lead", lambda appointment, lead: lead.c.id == appointment.c.lead_id),
        "location": One("Location", lambda appointment, place: place.c.id == appointment.c.location_id),
        "services": Many(
            "BookedService",
            lambda appointment, service: service.c.appointment_id == appointment.c.id,
            lambda service: (service.c.position,),
        ),
    },
    location="location_id",
    interfaces=_NODE,
)

BOOKED_SERVICE = Entity("Service", _booked_services, SERVICE_FIELDS, interfaces=_NODE)

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {
    "Lead": {
        "appointments": Connection("Appointment", APPOINTMENTS, lambda lead, row: row.c.lead_id == lead.c.id),
    }
}

ENTITIES = {"Appointment": APPOINTMENT, "BookedService": BOOKED_SERVICE}

TARGETS = {Kind.APPOINTMENT.value: Target("Appointment")}

ROOTS: dict[str, Root] = {
    "appointments": Root(
        connection=Connection("Appointment", APPOINTMENTS),
        read=APPOINTMENTS.read,
        entities=frozenset({"Appointment"}),
    ),
}
