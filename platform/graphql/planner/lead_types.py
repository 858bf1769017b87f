"""Leads in SQL, with what they consented to, their next touch and their timeline."""

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

from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Field,
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
    containing,
    encoded_cursor,
    identity,
    moment,
    page_values,
    table,
    tenant,
    typed_id,
)
from lead_orchestrator.graphql.planner.message_types import MESSAGES
from lead_orchestrator.graphql.queries import LeadFilter
from lead_orchestrator.graphql.repository import LEAD_ORDERS, is_indexable, looked_up, phone_digits
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.models import Consent, Lead, LeadEvent, ScheduledMessage
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_DAYS

__all__ = ["ENTITIES", "LEADS", "MORE_FIELDS", "ROOTS", "TARGETS"]


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
        values["search"] = containing(words)
        values["search_words"] = words if is_indexable(words) else None
        if digits := phone_digits(words):
            values["search_dialled"], values["search_digits"] = digits, f"%{digits}%"
    return {name: value for name, value in values.items() if value is not None}


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
    interfaces=frozenset({"Node"}),
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

LEAD_EVENT = Entity(
    "LeadEvent",
    lambda: table(LeadEvent),
    {
        "cursor": Leaf(_position),
        **columns("kind", "at", "detail"),
        "lead": One("Lead", lambda event, lead: lead.c.id == event.c.lead_id),
    },
)


MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}

ENTITIES = {entity.name: entity for entity in (LEAD, PLANNED_TOUCH, CONSENT, LEAD_EVENT)}

TARGETS = {Kind.LEAD.value: Target("Lead")}


def _read_lead(arguments: Mapping[str, Any]) -> Arguments:
    return Arguments(None, {"id": decode(Kind.LEAD, arguments["id"], field="id")})


ROOTS: dict[str, Root] = {
    "leads": Root(connection=Connection("Lead", LEADS), read=LEADS.read),
    "lead": Root(
        read=_read_lead,
        entity_of=lambda _shape: "Lead",
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"Lead"}),
    ),
}
