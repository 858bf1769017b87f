"""The schedule of touches."""

from __future__ import annotations

from datetime import time

import strawberry

from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.enums import Channel
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.touches.planning import ScheduleChange, StoredSchedule
from lead_orchestrator.touches.schedule import Touch

__all__ = ["TouchSchedule", "TouchScheduleInput", "TouchSchedulePayload"]


@strawberry.type
class TouchTemplate:
    """`day` counts from the first contact, which is day 0."""

    number: int
    day: int
    channel: Channel
    subject: str | None
    body: str
    whatsapp_template: str | None

    @classmethod
    def of(cls, touch: Touch) -> TouchTemplate:
        return cls(
            number=touch.number,
            day=touch.day,
            channel=touch.channel,
            subject=touch.subject,
            body=touch.body,
            whatsapp_template=touch.whatsapp_template,
        )


@strawberry.type
class TouchSchedule:
    """Nobody is written to in the quiet hours, which are the customer's own. `version` counts the changes; 0 is the default."""

    touches: list[TouchTemplate]
    quiet_hours_start: time
    quiet_hours_end: time
    version: int

    @classmethod
    def of(cls, stored: StoredSchedule) -> TouchSchedule:
        return cls(
            touches=[TouchTemplate.of(touch) for touch in stored.touches],
            quiet_hours_start=stored.quiet_hours_start,
            quiet_hours_end=stored.quiet_hours_end,
            version=stored.version,
        )


@strawberry.input
class TouchTemplateInput:
    number: int
    day: int
    channel: Channel
    subject: str | None = None
    body: str
    whatsapp_template: str | None = None

    def touch(self) -> Touch:
        return Touch(
            self.number, self.day, self.channel, self.subject or None, self.body, self.whatsapp_template or None
        )


@strawberry.input
class TouchScheduleInput:
    """The whole schedule of a location or, without one, of the franchise. Quiet hours are the franchise's; those left out stay."""

    location_id: strawberry.ID | None = None
    touches: list[TouchTemplateInput]
    quiet_hours_start: time | None = None
    quiet_hours_end: time | None = None

    def change(self) -> ScheduleChange:
        """Raises BadInputError: locationId is none."""
        return ScheduleChange(
            decode(Kind.LOCATION, self.location_id, field="locationId") if self.location_id is not None else None,
            [touch.touch() for touch in self.touches],
            self.quiet_hours_start,
            self.quiet_hours_end,
        )


@strawberry.type
class TouchSchedulePayload:
    """`leadsInFlight`: how many leads wait for a touch of this schedule. What is planned keeps its time."""

    touch_schedule: TouchSchedule | None
    leads_in_flight: int | None
    errors: list[UserError]
