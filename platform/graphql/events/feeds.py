"""The fields of the Subscription type: which events each one is about, and what an event is to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.graphql import lead_types
from lead_orchestrator.graphql.cursors import position_cursor
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.graphql.subscriptions import AppointmentEvent
from lead_orchestrator.ids import Kind
from lead_orchestrator.leads import models

__all__ = ["FEEDS", "Feed"]


@dataclass(frozen=True)
class Feed:
    """Events of kinds that begin with `prefix`; `of` makes None of one that is not for it."""

    prefix: str
    of: Callable[[models.LeadEvent, models.Lead], object | None]


def _lead_event(event: models.LeadEvent, lead: models.Lead) -> lead_types.LeadEvent:
    return lead_types.LeadEvent(
        cursor=position_cursor(event.position),
        kind=event.kind,
        at=event.at,
        detail=JSON(event.detail) if event.detail is not None else None,
        lead=lead_types.Lead.of(lead),
    )


def _appointment_event(event: models.LeadEvent, _lead: models.Lead) -> AppointmentEvent | None:
    key = appointment_of(event.detail)
    if key is None:
        return None
    return AppointmentEvent(cursor=position_cursor(event.position), kind=event.kind, at=event.at, appointment_key=key)


def appointment_of(detail: Mapping[str, object] | None) -> UUID | None:
    """The appointment that an event of one names as `appointmentId`, its bare key or the API's id."""
    named = str((detail or {}).get("appointmentId", "")).removeprefix(f"{Kind.APPOINTMENT.value}_")
    try:
        return UUID(named)
    except ValueError:
        return None


FEEDS = {
    "leadEvents": Feed("", _lead_event),
    "appointmentEvents": Feed("appointment.", _appointment_event),
}
