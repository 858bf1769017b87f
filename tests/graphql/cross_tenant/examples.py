"""Valid arguments of the schema's operations, where they do not follow from the schema by themselves.

Whoever adds a query, a mutation or a subscription adds an example here if the fuzz asks for one; nothing else. An argument is
a plain value, or what stands for a value of the franchise that is meant:

- `Id(Kind.LEAD)` is the id of one of its leads; `Id(Kind.LEAD, "touches_paused")` of one of which this SQL is true;
- `Column("locations", "slug")` is a value of one of its rows;
- `Made(function)` is what `await function(side)` answers with, for what has to be prepared: a hold, a token.

The operation has to succeed with them for the franchise itself: it shows something of the franchise, or changes something.
The same arguments, and forged ones like them, are then tried by everybody who must get nothing and change nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lead_orchestrator.ids import Kind
from lead_orchestrator.touches.schedule import DEFAULT_DAYS

if TYPE_CHECKING:
    from tests.graphql.cross_tenant.sides import Side

__all__ = ["EXAMPLES", "Column", "Example", "Id", "Made"]


@dataclass(frozen=True)
class Id:
    """The id of a row of this kind; `where` is SQL about its table's columns."""

    kind: Kind
    where: str = "true"


@dataclass(frozen=True)
class Column:
    """A value of a row."""

    table: str
    column: str
    where: str = "true"


@dataclass(frozen=True)
class Made:
    """What has to be prepared."""

    make: Callable[[Side], Awaitable[Any]]


@dataclass(frozen=True)
class Example:
    """`open_to_all` says why a stranger may have an effect on the franchise by it; then only what comes back is watched."""

    arguments: Mapping[str, Any]
    open_to_all: str | None = None


TOUCHES = [{"number": n, "day": day, "channel": "SMS", "body": f"Hello {n}"} for n, day in enumerate(DEFAULT_DAYS, 1)]

EXAMPLES: Mapping[str, Example] = {
    "addClosure": Example(
        {
            "locationId": Id(Kind.LOCATION),
            "startsAt": "2031-07-04T00:00:00-07:00",
            "endsAt": "2031-07-05T00:00:00-07:00",
        }
    ),
    "createLead": Example(
        {
            "input": {
                "locationId": Id(Kind.LOCATION),
                "phone": "+12135550177",
                "firstName": "Grace",
                "consent": {"sms": True},
            }
        }
    ),
    "location": Example({"id": Id(Kind.LOCATION)}),
    "node": Example({"id": Id(Kind.LEAD)}),
    "nodes": Example({"ids": [Id(Kind.LEAD), Id(Kind.LOCATION), Id(Kind.APPOINTMENT)]}),
    "optOutLead": Example({"leadId": Id(Kind.LEAD, "opted_out = '{}' AND phone IS NOT NULL")}),
    "pauseTouches": Example({"leadId": Id(Kind.LEAD, "NOT touches_paused")}),
    "removeClosure": Example({"id": Id(Kind.CLOSURE)}),
    "replayUnroutedWebhook": Example({"id": Id(Kind.UNROUTED_WEBHOOK)}),
    "replayWebhookEvent": Example({"id": Id(Kind.WEBHOOK_EVENT, "status = 'FAILED'")}),
    "report": Example({"from": "2026-03-01", "to": "2026-12-31"}),
    "resumeTouches": Example({"leadId": Id(Kind.LEAD, "touches_paused")}),
    "setTouchSchedule": Example({"input": {"locationId": Id(Kind.LOCATION), "touches": TOUCHES}}),
    "updateLead": Example({"input": {"id": Id(Kind.LEAD), "firstName": "Grace"}}),
    "upsertService": Example(
        {"input": {"id": Id(Kind.SERVICE, "location_id IS NOT NULL"), "name": "Door Edge Film", "durationMinutes": 45}}
    ),
}
