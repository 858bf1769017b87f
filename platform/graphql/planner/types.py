"""What our types are in SQL. A new type or field is one declaration here; a field that is missing is answered in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.lead_types import MESSAGE_ORDER
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
)
from lead_orchestrator.graphql.queries import LeadFilter
from lead_orchestrator.graphql.repository import FEWEST_DIGITS, LEAD_ORDERS, PHONE_CHARACTERS
from lead_orchestrator.graphql.tenant_types import LOCATION_ORDER
from lead_orchestrator.ids import Kind, decode, kind_of
from lead_orchestrator.leads.models import Consent, Lead, LeadEvent, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import Location, LocationHours, Tenant
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_DAYS

__all__ = ["ENTITIES", "ROOTS"]


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


def column(name: str) -> Leaf:
    """The column as it is."""
    return Leaf(lambda row: row.c[name])


def columns(*names: str) -> dict[str, Field]:
    """Columns whose fields have the same name in camel case."""
    return {_camel(name): column(name) for name in names}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def identity(kind: Kind) -> Leaf:
    """The typed id."""
    return Leaf(lambda row: _id(kind, row))


def _id(kind: Kind, row: Row) -> ColumnElement[str]:
    return literal_column(f"'{kind.value}_'", Text) + cast(row.c.id, Text)


def _wall(name: str) -> Leaf:
    return Leaf(lambda row: func.to_char(row.c[name], literal_column("'HH24:MI'")))


# Cursors and pages


def _cursor(order: str, value: ColumnElement[str], identifier: ColumnElement[str]) -> ColumnElement[str]:
    """As `cursors.cursor` writes it: base64url of a JSON array; `value` is JSON already."""
    raw = literal_column(f"""'["{order}",'""", Text) + value + literal_column("""',"'""", Text) + identifier
    encoded = func.encode(
        func.convert_to(raw + literal_column("""'"]'""", Text), literal_column("'UTF8'")), literal_column("'base64'")
    )
    return func.translate(encoded, literal_column("'+/=' || chr(10)"), literal_column("'-_'"), type_=Text())


_ISO = """'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""


def _moment(value: ColumnElement[Any]) -> ColumnElement[str]:
    shown = func.to_char(func.timezone(literal_column("'UTC'"), value), literal_column(_ISO), type_=Text())
    return literal_column("""'"'""", Text) + shown + literal_column("""'"'""", Text)


def _beyond(by: Any, identifier: Any, bind: Bind, *, descending: bool) -> ColumnElement[bool]:
    edge = tuple_(bind("after_value"), bind("after_id"), types=[by.type, identifier.type])
    at = tuple_(by, identifier)
    return at < edge if descending else at > edge


def _page_values(page: cursors.Page) -> dict[str, Any]:
    values: dict[str, Any] = {"first": page.first, "limit": page.first + 1}
    if page.after is not None:
        values.update(after_value=page.after.value, after_id=page.after.id)
    return values


@dataclass(frozen=True)
class _LeadShape:
    order: str
    follows: bool
    filters: tuple[str, ...]


def _read_leads(arguments: Mapping[str, Any]) -> Arguments:
    order = (arguments.get("orderBy") or "CREATED_AT_DESC") + ""
    page = cursors.page(arguments.get("first"), arguments.get("after"), order, (Kind.LEAD,))
    values = _page_values(page)
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
        digits = "".join(char for char in words if char.isdecimal())
        if len(digits) >= FEWEST_DIGITS and set(words) <= PHONE_CHARACTERS:
            values["search_digits"] = f"%{_escaped(digits)}%"
    return {name: value for name, value in values.items() if value is not None}


def _escaped(words: str) -> str:
    return words.replace("/", "//").replace("%", "/%").replace("_", "/_").lower()


def _search_lead(row: Row, bind: Bind, *, digits: bool) -> ColumnElement[bool]:
    name = func.concat_ws(literal_column("' '"), row.c.first_name, row.c.last_name)
    found = [
        func.lower(name).like(bind("search"), escape="/"),
        func.lower(row.c.email).like(bind("search"), escape="/"),
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
}


def _lead_terms(row: Row, shape: _LeadShape, bind: Bind) -> Sequence[ColumnElement[bool]]:
    terms = [_LEAD_FILTERS[name](row, bind) for name in shape.filters if _LEAD_FILTERS[name]]
    if "search" in shape.filters:
        terms.append(_search_lead(row, bind, digits="search_digits" in shape.filters))
    return terms


def _lead_by(row: Row, shape: _LeadShape) -> tuple[Any, bool]:
    attribute, descending = LEAD_ORDERS[shape.order]
    return row.c[attribute.key], descending


def _lead_order(row: Row, shape: _LeadShape) -> Sequence[Any]:
    by, descending = _lead_by(row, shape)
    return (by.desc(), row.c.id.desc()) if descending else (by, row.c.id)


def _lead_after(row: Row, shape: _LeadShape, bind: Bind) -> ColumnElement[bool] | None:
    by, descending = _lead_by(row, shape)
    return _beyond(by, row.c.id, bind, descending=descending) if shape.follows else None


LEADS = Paging(
    read=_read_leads,
    order=_lead_order,
    cursor=lambda row, shape: _cursor(shape.order, _moment(_lead_by(row, shape)[0]), _id(Kind.LEAD, row)),
    after=_lead_after,
    starts_after=lambda shape: shape.follows,
    terms=_lead_terms,
)


def _read_locations(arguments: Mapping[str, Any]) -> Arguments:
    page = cursors.page(arguments.get("first"), arguments.get("after"), LOCATION_ORDER, (Kind.LOCATION,), moments=False)
    words = LeadFilter(search=arguments.get("search")).query().search
    values = _page_values(page)
    if words and words.strip():
        values["search"] = f"%{_escaped(words.strip())}%"
    return Arguments((page.after is not None, "search" in values), values)


def _location_terms(row: Row, shape: Any, bind: Bind) -> Sequence[ColumnElement[bool]]:
    searched = (row.c.name, row.c.slug, row.c.address)
    return [or_(*(func.lower(part).like(bind("search"), escape="/") for part in searched))] if shape[1] else []


LOCATIONS = Paging(
    read=_read_locations,
    order=lambda row, _shape: (row.c.name, row.c.id),
    cursor=lambda row, _shape: _cursor(LOCATION_ORDER, cast(func.to_json(row.c.name), Text), _id(Kind.LOCATION, row)),
    after=lambda row, shape, bind: _beyond(row.c.name, row.c.id, bind, descending=False) if shape[0] else None,
    starts_after=lambda shape: bool(shape[0]),
    terms=_location_terms,
)


def _read_messages(arguments: Mapping[str, Any]) -> Arguments:
    kinds = (Kind.MESSAGE, Kind.MESSAGE_LOG)
    page = cursors.page(arguments.get("first"), arguments.get("after"), MESSAGE_ORDER, kinds)
    return Arguments(page.after is not None, _page_values(page))


MESSAGES = Paging(
    read=_read_messages,
    order=lambda row, _shape: (row.c.at.desc(), row.c.id.desc()),
    cursor=lambda row, _shape: _cursor(MESSAGE_ORDER, _moment(row.c.at), row.c.node_id),
    after=lambda row, shape, bind: _beyond(row.c.at, row.c.id, bind, descending=True) if shape else None,
    starts_after=bool,
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


def _messages() -> Row:
    """What was or is to be sent, and what came in, as one table."""
    sent, got = _table(ScheduledMessage).c, _table(MessageLog).c
    out = select(
        sent.tenant_id, sent.id, sent.location_id, sent.lead_id, sent.kind, sent.channel,
        literal_column("'OUTBOUND'", Text).label("direction"), sent.status, func.coalesce(sent.body, "").label("body"),
        sent.subject, sent.touch_number, sent.due_at, sent.sent_at, sent.delivered_at, sent.decision,
        sent.provider_message_id, sent.error_code, sent.attempt.label("attempts"), sent.segments,
        sent.created_at.label("at"), (literal_column("'msg_'", Text) + cast(sent.id, Text)).label("node_id"),
    )  # fmt: skip
    came = select(
        got.tenant_id, got.id, got.location_id, got.lead_id, literal_column("'INBOUND'", Text), got.channel,
        literal_column("'INBOUND'", Text), literal_column("'RECEIVED'", Text), got.body,
        got.subject, cast(null(), Integer), cast(null(), sent.due_at.type), got.at, got.at, cast(null(), Text),
        got.provider_message_id, got.error_code, literal(0, Integer), cast(null(), Integer),
        got.at, literal_column("'log_'", Text) + cast(got.id, Text),
    ).where(got.message_id.is_(None))  # fmt: skip
    return union_all(out, came).subquery()


def _touch_day(row: Row) -> Any:
    own = _table(TouchTemplate).alias()
    written = (
        select(own.c.day)
        .where(
            own.c.tenant_id == row.c.tenant_id,
            own.c.number == row.c.touch_number,
            or_(own.c.location_id.is_(None), own.c.location_id == row.c.location_id),
        )
        .order_by(own.c.location_id.is_(None))
        .limit(literal_column("1"))
        .correlate(row)
        .scalar_subquery()
    )
    numbered = enumerate(DEFAULT_DAYS, start=1)
    default = case(*((row.c.touch_number == literal_column(str(n)), literal_column(str(day))) for n, day in numbered))
    return func.coalesce(written, default)


def _local_time(row: Row) -> Any:
    place = _table(Location).alias()
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
    lambda: _table(Location),
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
    lambda: _table(LocationHours),
    {**columns("day_of_week"), "opensAt": _wall("opens_at"), "closesAt": _wall("closes_at")},
)

LEAD = Entity(
    "Lead",
    lambda: _table(Lead),
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
    lambda: _table(ScheduledMessage),
    {
        "number": column("touch_number"),
        "day": Leaf(_touch_day),
        **columns("channel", "due_at", "decision"),
        "localTime": Leaf(_local_time),
    },
)

CONSENT = Entity("Consent", lambda: _table(Consent), columns("channel", "granted", "source", "wording", "at"))

MESSAGE = Entity(
    "Message",
    _messages,
    {
        "id": column("node_id"),
        **columns("kind", "channel", "direction", "status", "body", "subject", "touch_number", "due_at", "sent_at"),
        **columns("delivered_at", "decision", "provider_message_id", "error_code", "attempts", "segments"),
        "lead": One("Lead", lambda message, lead: lead.c.id == message.c.lead_id),
    },
    location="location_id",
    interfaces=_NODE,
)

LEAD_EVENT = Entity(
    "LeadEvent",
    lambda: _table(LeadEvent),
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
        own = _table(Tenant)
        return select(own.c.id.label("tenant_id"), *own.c).subquery()


TENANT = Entity(
    "Tenant",
    _TenantTable.source,
    {"id": identity(Kind.TENANT), **columns("name", "slug", "status", "demo_mode", "demo_allowlist")},
    interfaces=_NODE,
)

ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (LOCATION, OPENING_HOURS, LEAD, PLANNED_TOUCH, CONSENT, MESSAGE, LEAD_EVENT, TENANT)
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


_NODE_ENTITIES = {Kind.LEAD: "Lead", Kind.LOCATION: "Location", Kind.TENANT: "Tenant", Kind.MESSAGE: "Message"}


def _read_node(arguments: Mapping[str, Any]) -> Arguments:
    kind = kind_of(arguments["id"])
    if kind is None or kind not in _NODE_ENTITIES:
        raise BadInputError("answered in Python")
    return Arguments(kind, {"id": decode(kind, arguments["id"])})


ROOTS: dict[str, Root] = {
    "leads": Root(Role.AGENT, connection=Connection("Lead", LEADS), read=LEADS.read),
    "locations": Root(Role.AGENT, connection=Connection("Location", LOCATIONS), read=LOCATIONS.read),
    "lead": Root(
        Role.AGENT,
        read=_read_id(Kind.LEAD),
        entity_of=lambda _shape: "Lead",
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"Lead"}),
    ),
    "location": Root(
        Role.AGENT,
        read=_read_location,
        entity_of=lambda _shape: "Location",
        by=lambda row, shape, bind: row.c[shape] == bind(shape),
        entities=frozenset({"Location"}),
    ),
    "tenant": Root(
        Role.AGENT,
        read=lambda _arguments: Arguments(None, {}),
        entity_of=lambda _shape: "Tenant",
        by=lambda _row, _shape, _bind: literal_column("true"),
        entities=frozenset({"Tenant"}),
    ),
    "node": Root(
        Role.AGENT,
        read=_read_node,
        entity_of=lambda shape: _NODE_ENTITIES[shape],
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset(_NODE_ENTITIES.values()),
    ),
}
