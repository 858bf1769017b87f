"""The franchise in SQL: its locations with their hours, its users, itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal_column, or_, select

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Field,
    Many,
    Paging,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import (
    beyond,
    columns,
    containing,
    encoded_cursor,
    identity,
    page_values,
    table,
    typed_id,
    wall,
)
from lead_orchestrator.graphql.queries import LeadFilter
from lead_orchestrator.graphql.tenant_types import LOCATION_ORDER, MOST_LOCATIONS
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy.models import Location, LocationHours, Tenant, User

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]


def _read_locations(arguments: Mapping[str, Any]) -> Arguments:
    page = cursors.page(arguments.get("first"), arguments.get("after"), LOCATION_ORDER, (Kind.LOCATION,), moments=False)
    words = LeadFilter(search=arguments.get("search")).query().search
    values = page_values(page)
    if words and words.strip():
        values["search"] = containing(words.strip())
    return Arguments((page.after is not None, "search" in values), values)


def _location_terms(row: Row, shape: Any, bind: Bind) -> Sequence[ColumnElement[bool]]:
    searched = (row.c.name, row.c.slug, row.c.address)
    return (
        [or_(*(func.lower(part).like(func.lower(bind("search")), escape="/") for part in searched))] if shape[1] else []
    )


LOCATIONS = Paging(
    read=_read_locations,
    order=lambda row, _shape: (row.c.name, row.c.id),
    cursor=lambda row, _shape: encoded_cursor(
        LOCATION_ORDER, cast(func.to_json(row.c.name), Text), typed_id(Kind.LOCATION, row)
    ),
    after=lambda row, shape, bind: beyond(row.c.name, row.c.id, bind, descending=False) if shape[0] else None,
    starts_after=lambda shape: bool(shape[0]),
    terms=_location_terms,
)


_NODE = frozenset({"Node"})

LOCATION = Entity(
    "Location",
    lambda: table(Location),
    {
        "id": identity(Kind.LOCATION),
        **columns("name", "slug", "shopmonkey_location_id", "timezone", "phone", "address", "bays", "buffer_minutes"),
        **columns("lead_time_minutes", "horizon_days", "allowed_origins", "survey"),
        "hours": Many(
            "OpeningHours",
            lambda place, hours: hours.c.location_id == place.c.id,
            lambda hours: (hours.c.day_of_week, hours.c.opens_at),
        ),
    },
    location="id",
    interfaces=_NODE,
)

OPENING_HOURS = Entity(
    "OpeningHours",
    lambda: table(LocationHours),
    {**columns("day_of_week"), "opensAt": wall("opens_at"), "closesAt": wall("closes_at")},
)

USER = Entity(
    "User",
    lambda: table(User),
    {
        "id": identity(Kind.USER),
        **columns("email", "name", "role", "active"),
        "locations": Many(
            "Location",
            lambda user, place: or_(user.c.location_ids.is_(None), place.c.id == func.any(user.c.location_ids)),
            lambda place: (place.c.name, place.c.id),
            most=MOST_LOCATIONS,
        ),
    },
    interfaces=_NODE,
    visible=lambda user, scope: or_(
        scope.c.role != literal_column("'AGENT'"), scope.c.subject == typed_id(Kind.USER, user)
    ),
)


class _TenantTable:
    """The tenants table with its id under the name that every other table has for it."""

    @staticmethod
    def source() -> Row:
        own = table(Tenant)
        return select(own.c.id.label("tenant_id"), *own.c).subquery()


TENANT = Entity(
    "Tenant",
    _TenantTable.source,
    {"id": identity(Kind.TENANT), **columns("name", "slug", "status", "demo_mode", "demo_allowlist")},
    interfaces=_NODE,
)

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}

ENTITIES: dict[str, Entity] = {entity.name: entity for entity in (LOCATION, OPENING_HOURS, USER, TENANT)}


def _read_location(arguments: Mapping[str, Any]) -> Arguments:
    given, slug = arguments.get("id"), arguments.get("slug")
    if (given is None) == (slug is None):
        raise BadInputError("location takes an id or a slug: give one of them", field=("id",))
    if given is not None:
        return Arguments("id", {"id": decode(Kind.LOCATION, given, field="id")})
    return Arguments("slug", {"slug": slug})


TARGETS: dict[str, Target] = {
    Kind.LOCATION.value: Target("Location"),
    Kind.TENANT.value: Target("Tenant"),
    Kind.USER.value: Target("User"),
}

ROOTS: dict[str, Root] = {
    "locations": Root(connection=Connection("Location", LOCATIONS), read=LOCATIONS.read),
    "location": Root(
        read=_read_location,
        entity_of=lambda _shape: "Location",
        by=lambda row, shape, bind: row.c[shape] == bind(shape),
        entities=frozenset({"Location"}),
    ),
    "tenant": Root(
        read=lambda _arguments: Arguments(None, {}),
        entity_of=lambda _shape: "Tenant",
        entities=frozenset({"Tenant"}),
    ),
}
