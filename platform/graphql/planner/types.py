"""What our types are in SQL. A new type or field is one declaration here; a field that is missing is answered in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Inside,
    Leaf,
    Many,
    One,
    Paging,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import (
    beyond,
    column,
    columns,
    encoded_cursor,
    identity,
    moment,
    page_values,
    table,
    tenant,
    typed_id,
    wall,
)
from lead_orchestrator.graphql.planner.message_types import MESSAGES
from lead_orchestrator.graphql.queries import LeadFilter
from lead_orchestrator.graphql.repository import LEAD_ORDERS, is_indexable, looked_up, phone_digits
from lead_orchestrator.graphql.tenant_types import LOCATION_ORDER, MOST_LOCATIONS
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.models import Consent, Lead, LeadEvent, ScheduledMessage
from lead_orchestrator.tenancy.models import Location, LocationHours, Tenant, User
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_DAYS

__all__ = ["ENTITIES", "ROOTS", "TARGETS"]


@dataclass(frozen=True)
class _LeadShape:
    order: str
    follows: bool
    filters: tuple[str, ...]


def _read_leads(arguments: Mapping[str, Any]) -> Arguments:
    order = (arguments.get("orderBy") or "CREATED_AT_DESC") + ""
    page = cursors.page(arguments.get("first"), arguments.get("after"), order, (Kind.LEAD,))
    values = page_values(page)
    values.update(_filter_values(arguments.get("filter") or {}))
    filters = tuple(name for name in _LEAD_FILTERS if name in values)
    return Arguments(_LeadShape(order, page.after is not None, filters), values)


def _filter_values(given: Mapping[str, Any]) -> dict[str, Any]:
    query = LeadFilter(
        status=given.get("status"),
        source=given.get("source"),
        location_ids=given.get("locationIds"),
        search=given.get("search"),
        created_from=given.get("createdFrom"),
        created_to=given.get("createdTo"),
    ).query()
    values: dict[str, Any] = {
        "status": query.status,
        "source": query.source,
        "location_ids": query.location_ids,
        "created_from": query.created_from,
        "created_to": query.created_to,
    }
    words = (query.search or "").strip()
    if words:
        values["search"] = f"%{_escaped(words)}%"
        values["search_words"] = words if is_indexable(words) else None
        if digits := phone_digits(words):
            values["search_dialled"], values["search_digits"] = digits, f"%{digits}%"
    return {name: value for name, value in values.items() if value is not None}


def _escaped(words: str) -> str:
    return words.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _search_lead(row: Row, bind: Bind, *, digits: bool) -> ColumnElement[bool]:
    name = func.concat_ws(literal_column("' '"), row.c.first_name, row.c.last_name)
    found = [
        func.lower(name).like(func.lower(bind("search")), escape="/"),
        func.lower(row.c.email).like(func.lower(bind("search")), escape="/"),
    ]
    if digits:
        found.append(row.c.phone.like(bind("search_digits"), escape="/"))
    return or_(*found)


_LEAD_FILTERS: dict[str, Any] = {
    "status": lambda row, bind: row.c.status == func.any(bind("status")),
    "source": lambda row, bind: row.c.source == func.any(bind("source")),
    "location_ids": lambda row, bind: row.c.location_id == func.any(bind("location_ids")),
    "created_from": lambda row, bind: row.c.created_at >= bind("created_from"),
    "created_to": lambda row, bind: row.c.created_at < bind("created_to"),
    "search": None,
    "search_digits": None,
    "search_dialled": None,
    "search_words": None,
}


def _lead_terms(row: Row, shape: _LeadShape, bind: Bind) -> Sequence[ColumnElement[bool]]:
    terms = [_LEAD_FILTERS[name](row, bind) for name in shape.filters if _LEAD_FILTERS[name]]
    if "search" in shape.filters:
        terms.append(_search_lead(row, bind, digits="search_digits" in shape.filters))
    if "search_words" in shape.filters:
        # From the scope's row, so that it is not asked before the settings are set.
        dialled = bind("search_dialled") if "search_dialled" in shape.filters else null()
        terms.append(row.c.id == any_(looked_up(tenant(), bind("search_words"), dialled)))
    return terms


def _lead_by(row: Row, shape: _LeadShape) -> tuple[Any, bool]:
    attribute, descending = LEAD_ORDERS[shape.order]
    return row.c[attribute.key], descending


def _lead_order(row: Row, shape: _LeadShape) -> Sequence[Any]:
    by, descending = _lead_by(row, shape)
    return (by.desc(), row.c.id.desc()) if descending else (by, row.c.id)


def _lead_after(row: Row, shape: _LeadShape, bind: Bind) -> ColumnElement[bool] | None:
    by, descending = _lead_by(row, shape)
    return beyond(by, row.c.id, bind, descending=descending) if shape.follows else None


LEADS = Paging(
    read=_read_leads,
    order=_lead_order,
    cursor=lambda row, shape: encoded_cursor(shape.order, moment(_lead_by(row, shape)[0]), typed_id(Kind.LEAD, row)),
    after=_lead_after,
    starts_after=lambda shape: shape.follows,
    terms=_lead_terms,
)


def _read_locations(arguments: Mapping[str, Any]) -> Arguments:
    page = cursors.page(arguments.get("first"), arguments.get("after"), LOCATION_ORDER, (Kind.LOCATION,), moments=False)
    words = LeadFilter(search=arguments.get("search")).query().search
    values = page_values(page)
    if words and words.strip():
        values["search"] = f"%{_escaped(words.strip())}%"
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


def _read_events(arguments: Mapping[str, Any]) -> Arguments:
    first = cursors.checked_first(arguments.get("first"))
    before = cursors.position_of(arguments.get("after"))
    values = {"first": first, "limit": first + 1, **({"before": before} if before is not None else {})}
    return Arguments(before is not None, values)


def _position(row: Row) -> ColumnElement[str]:
    return literal_column("'lev_'", Text) + cast(row.c.position, Text)


EVENTS = Paging(
    read=_read_events,
    order=lambda row, _shape: (row.c.position.desc(),),
    cursor=lambda row, _shape: _position(row),
    after=lambda row, shape, bind: row.c.position < bind("before") if shape else None,
    starts_after=bool,
)


# Rows


def _touch_day(row: Row) -> Any:
    """By the schedule in force: the location's own, else the tenant's, else the default one."""
    touch, own = table(TouchTemplate).alias(), table(TouchTemplate).alias()
    has_own = exists().where(own.c.tenant_id == row.c.tenant_id, own.c.location_id == row.c.location_id)
    in_force = or_(touch.c.location_id == row.c.location_id, and_(touch.c.location_id.is_(None), ~has_own))
    stored = select(touch.c.day).where(
        touch.c.tenant_id == row.c.tenant_id, touch.c.number == row.c.touch_number, in_force
    )
    numbered = enumerate(DEFAULT_DAYS, start=1)
    default = case(*((row.c.touch_number == literal_column(str(n)), literal_column(str(day))) for n, day in numbered))
    return func.coalesce(stored.correlate(row).scalar_subquery(), default)


def _local_time(row: Row) -> Any:
    place = table(Location).alias()
    zone = (
        select(place.c.timezone)
        .where(place.c.tenant_id == row.c.tenant_id, place.c.id == row.c.location_id)
        .correlate(row)
        .scalar_subquery()
    )
    return func.to_char(func.timezone(zone, row.c.due_at), literal_column("'Dy YYYY-MM-DD HH24:MI'"))


def _vehicle_year(row: Row) -> Any:
    year = cast(row.c.vehicle, JSONB).op("->>")(literal_column("'year'"))
    return case((year.op("~")(literal_column("'^[0-9]{4}$'")), cast(year, Integer)))


def _vehicle_part(name: str) -> Leaf:
    return Leaf(
        lambda row: func.nullif(cast(row.c.vehicle, JSONB).op("->>")(literal_column(f"'{name}'")), literal_column("''"))
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

LEAD = Entity(
    "Lead",
    lambda: table(Lead),
    {
        "id": identity(Kind.LEAD),
        "name": Leaf(
            lambda row: func.concat_ws(
                literal_column("' '"),
                func.nullif(row.c.first_name, literal_column("''")),
                func.nullif(row.c.last_name, literal_column("''")),
            )
        ),
        **columns("first_name", "last_name", "email", "phone", "status", "source", "external_order_id", "created_at"),
        **columns("last_activity_at", "first_contacted_at", "touches_sent", "touches_paused", "opted_out"),
        **columns("time_zone", "postal_code", "survey"),
        "vehicle": Inside(
            "Vehicle",
            {"year": Leaf(_vehicle_year), "make": _vehicle_part("make"), "model": _vehicle_part("model")},
            present=lambda row: cast(row.c.vehicle, JSONB).op("<>")(literal_column("'{}'::jsonb")),
        ),
        "location": One("Location", lambda lead, place: place.c.id == lead.c.location_id),
        "nextTouch": One(
            "PlannedTouch",
            lambda lead, touch: and_(
                touch.c.lead_id == lead.c.id,
                touch.c.kind == literal_column("'TOUCH'"),
                touch.c.status == literal_column("'SCHEDULED'"),
            ),
            order=lambda touch: (touch.c.due_at,),
        ),
        "consents": Many(
            "Consent", lambda lead, row: row.c.lead_id == lead.c.id, lambda row: (row.c.at.desc(), row.c.id.desc())
        ),
        "messages": Connection("Message", MESSAGES, lambda lead, message: message.c.lead_id == lead.c.id),
        "timeline": Connection("LeadEvent", EVENTS, lambda lead, event: event.c.lead_id == lead.c.id),
    },
    location="location_id",
    interfaces=_NODE,
)

PLANNED_TOUCH = Entity(
    "PlannedTouch",
    lambda: table(ScheduledMessage),
    {
        "number": column("touch_number"),
        "day": Leaf(_touch_day),
        **columns("channel", "due_at", "decision"),
        "localTime": Leaf(_local_time),
    },
)

CONSENT = Entity("Consent", lambda: table(Consent), columns("channel", "granted", "source", "wording", "at"))

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

LEAD_EVENT = Entity(
    "LeadEvent",
    lambda: table(LeadEvent),
    {
        "cursor": Leaf(_position),
        **columns("kind", "at", "detail"),
        "lead": One("Lead", lambda event, lead: lead.c.id == event.c.lead_id),
    },
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

ENTITIES: dict[str, Entity] = {
    entity.name: entity for entity in (LOCATION, OPENING_HOURS, LEAD, PLANNED_TOUCH, CONSENT, USER, LEAD_EVENT, TENANT)
}

# Roots


def _read_id(kind: Kind) -> Any:
    return lambda arguments: Arguments(None, {"id": decode(kind, arguments["id"], field="id")})


def _read_location(arguments: Mapping[str, Any]) -> Arguments:
    given, slug = arguments.get("id"), arguments.get("slug")
    if (given is None) == (slug is None):
        raise BadInputError("location takes an id or a slug: give one of them", field=("id",))
    if given is not None:
        return Arguments("id", {"id": decode(Kind.LOCATION, given, field="id")})
    return Arguments("slug", {"slug": slug})


TARGETS: dict[str, Target] = {
    Kind.LEAD.value: Target("Lead"),
    Kind.LOCATION.value: Target("Location"),
    Kind.TENANT.value: Target("Tenant"),
    Kind.USER.value: Target("User"),
}

ROOTS: dict[str, Root] = {
    "leads": Root(connection=Connection("Lead", LEADS), read=LEADS.read),
    "locations": Root(connection=Connection("Location", LOCATIONS), read=LOCATIONS.read),
    "lead": Root(
        read=_read_id(Kind.LEAD),
        entity_of=lambda _shape: "Lead",
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"Lead"}),
    ),
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
