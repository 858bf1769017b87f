"""The catalog in SQL: services, closures, and what a location has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, all_, and_, cast, func, literal_column, or_, select

from lead_orchestrator.booking.calendar.models import SHOWN, GoogleCredential
from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Entity,
    Field,
    Inside,
    Leaf,
    Many,
    One,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import column, columns, identity, table, tenant
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy.models import Location

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "SERVICE_FIELDS", "TARGETS", "money"]


def money(cents: str) -> Inside:
    """Null where there is no amount."""
    fields: Mapping[str, Field] = {"amountCents": column(cents), "currency": column("currency")}
    return Inside("Money", fields, present=lambda row: row.c[cents].is_not(None))


def _own_names(place: Any, *outer: Row) -> ColumnElement[Any]:
    """What the location's own services are called, in small letters: read once, not for each service."""
    own = table(Service).alias()
    named = select(func.lower(own.c.name)).where(own.c.tenant_id == tenant(), own.c.location_id == place)
    return func.array(named.correlate(*outer).scalar_subquery(), type_=ARRAY(Text()))


def _offered(row: Row, place: Any, own_names: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the location sells this service: its own, and the tenant's where it has none of that name."""
    here = or_(row.c.location_id == place, row.c.location_id.is_(None))
    return and_(here, or_(row.c.location_id.is_not(None), func.lower(row.c.name) != all_(own_names)))


def _by_place(row: Row) -> Sequence[Any]:
    return row.c.display_order, row.c.name, row.c.id


def _active(row: Row, active_only: bool) -> Sequence[ColumnElement[bool]]:
    return [row.c.active] if active_only else []


def _read_services(arguments: Mapping[str, Any]) -> Arguments:
    key = decode(Kind.LOCATION, arguments["locationId"], field="locationId")
    return Arguments(arguments.get("activeOnly") is not False, {"location_id": key})


def _at_location(row: Row, active_only: bool, bind: Bind) -> Sequence[ColumnElement[bool]]:
    """Of a location that is not in reach no names come back, not even none, and nothing is offered there."""
    place = table(Location).alias()
    mine = and_(place.c.tenant_id == tenant(), place.c.id == bind("location_id"))
    names = select(_own_names(bind("location_id"))).select_from(place).where(mine).scalar_subquery()
    return [_offered(row, bind("location_id"), cast(names, ARRAY(Text()))), *_active(row, active_only)]


SERVICE_FIELDS: Mapping[str, Field] = {
    "id": identity(Kind.SERVICE),
    **columns("name", "description", "category", "duration_minutes", "active", "display_order", "shopmonkey_id"),
    "price": money("price_cents"),
    "location": One("Location", lambda service, place: place.c.id == service.c.location_id),
}

# A row without a location is everybody's, so limited callers are restricted by its policy alone.
SERVICE = Entity("Service", lambda: table(Service), SERVICE_FIELDS, interfaces=frozenset({"Node"}))

CLOSURE = Entity(
    "Closure",
    lambda: table(Closure),
    {"id": identity(Kind.CLOSURE), **columns("starts_at", "ends_at", "reason")},
)


def _shown_calendars() -> Row:
    """The connections that are one to whoever looks."""
    row = table(GoogleCredential)
    return select(row).where(row.c.status.in_([literal_column(f"'{status}'") for status in SHOWN])).subquery()


CALENDAR = Entity(
    "CalendarConnection",
    _shown_calendars,
    {"provider": Leaf(lambda _row: literal_column("'GOOGLE'")), **columns("email", "status", "synced_at", "error")},
    location="location_id",
)


MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {
    "Location": {
        "services": Many(
            "Service",
            lambda place, service: _offered(service, place.c.id, _own_names(place.c.id, place)),
            _by_place,
            read=lambda arguments: Arguments(arguments.get("activeOnly") is not False, {}),
            terms=lambda row, shape, _bind: _active(row, shape),
        ),
        "closures": Many(
            "Closure",
            lambda place, closure: closure.c.location_id == place.c.id,
            lambda closure: (closure.c.starts_at, closure.c.id),
        ),
        "calendar": One("CalendarConnection", lambda place, calendar: calendar.c.location_id == place.c.id),
    }
}

ENTITIES = {entity.name: entity for entity in (SERVICE, CLOSURE, CALENDAR)}

TARGETS = {
    Kind.SERVICE.value: Target("Service"),
    Kind.CLOSURE.value: Target("Service", lambda _row: literal_column("false")),  # has an id, but is no node
}

ROOTS: dict[str, Root] = {
    "services": Root(
        read=_read_services,
        many=Many("Service", None, _by_place, terms=_at_location),
        entities=frozenset({"Service"}),
    ),
}
