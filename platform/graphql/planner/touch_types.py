"""The schedule of touches in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Integer, Text, Time, Uuid, case, cast, exists, func, literal, or_, select, true

from lead_orchestrator.graphql.planner.declare import Arguments, Bind, Entity, Field, Many, Root, Row, Target
from lead_orchestrator.graphql.planner.expressions import columns, rows_of, table, tenant, wall
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy.models import Location, MessagingConfig, Tenant
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]

_KINDS: Mapping[str, Any] = {
    "number": Integer,
    "day": Integer,
    **dict.fromkeys(("channel", "subject", "body", "whatsapp_template"), Text),
}


def _read(arguments: Mapping[str, Any]) -> Arguments:
    given = arguments.get("locationId")
    return Arguments(None, {"location_id": None if given is None else decode(Kind.LOCATION, given, field="locationId")})


def _schedule(bind: Bind) -> Row:
    """As `touches.planning.read_schedule` has it; no row of a location that the caller does not see."""
    franchise, place, quiet = table(Tenant), table(Location), table(MessagingConfig)
    asked, default = cast(bind("location_id"), Uuid), QuietHours()
    visible = exists().where(place.c.tenant_id == franchise.c.id, place.c.id == asked)
    kept = _kept(franchise, asked)
    rows = franchise.outerjoin(quiet, quiet.c.tenant_id == franchise.c.id).join(kept, true())
    return (
        select(
            franchise.c.id.label("tenant_id"),
            func.coalesce(quiet.c.quiet_hours_start, literal(default.closes, Time)).label("quiet_hours_start"),
            func.coalesce(quiet.c.quiet_hours_end, literal(default.opens, Time)).label("quiet_hours_end"),
            func.coalesce(kept.c.version, literal(0, Integer)).label("version"),
            func.coalesce(kept.c.touches, cast(literal(_default(), Text), JSON)).label("touches"),
        )
        .select_from(rows)
        .where(franchise.c.id == tenant(), or_(asked.is_(None), visible.correlate(franchise)))
        .subquery()
    )


def _kept(franchise: Row, asked: Any) -> Any:
    """The touches that are stored: the location's own, else the tenant's."""
    stored, own = table(TouchTemplate), table(TouchTemplate).alias()
    has_own = exists().where(own.c.tenant_id == franchise.c.id, own.c.location_id == asked).correlate(franchise)
    mine = (stored.c.tenant_id == franchise.c.id, stored.c.location_id.is_not_distinct_from(case((has_own, asked))))
    members = [part for name in _KINDS for part in (literal(name, Text), stored.c[name])]
    listed = func.json_agg(func.json_build_object(*members))
    return (
        select(listed.label("touches"), func.max(stored.c.version).label("version"))
        .where(*mine)
        .correlate(franchise)
        .lateral("kept")
    )


def _default() -> str:
    return json.dumps([{name: getattr(touch, name) for name in _KINDS} for touch in DEFAULT_TOUCHES])


SCHEDULE = Entity(
    "TouchSchedule",
    None,
    {
        "touches": Many(
            "TouchTemplate",
            None,
            lambda touch: (touch.c.number,),
            of=lambda schedule: rows_of(schedule, schedule.c.touches, **_KINDS),
        ),
        "quietHoursStart": wall("quiet_hours_start"),
        "quietHoursEnd": wall("quiet_hours_end"),
        **columns("version"),
    },
)
TOUCH = Entity("TouchTemplate", None, columns(*_KINDS))

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}
TARGETS: Mapping[str, Target] = {}
ENTITIES = {entity.name: entity for entity in (SCHEDULE, TOUCH)}
ROOTS: dict[str, Root] = {
    "touchSchedule": Root(
        read=_read,
        entity_of=lambda _shape: "TouchSchedule",
        made=_schedule,
        entities=frozenset({"TouchSchedule"}),
    ),
}
