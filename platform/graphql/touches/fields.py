"""What can be asked of the schedule of touches, and how it is changed."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.touches.types import TouchSchedule, TouchScheduleInput, TouchSchedulePayload
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.touches.planning import ScheduleError, read_schedule, set_schedule

__all__ = ["TouchMutations", "TouchQueries"]


@strawberry.type
class TouchQueries:
    @strawberry.field
    async def touch_schedule(self, info: Request, location_id: strawberry.ID | None = None) -> TouchSchedule:
        """What a location's leads are sent or, without one, those of locations that have no schedule of their own."""
        key = decode(Kind.LOCATION, location_id, field="locationId") if location_id is not None else None
        return TouchSchedule.of(await info.context.run(read_schedule, key))


@strawberry.type
class TouchMutations:
    @strawberry.mutation
    async def set_touch_schedule(self, info: Request, input: TouchScheduleInput) -> TouchSchedulePayload:  # noqa: A002 - the contract's name
        """All that is wrong with it comes back at once."""
        try:
            async with info.context.writing() as session:
                stored, waiting = await set_schedule(session, input.change())
        except AppError as error:
            found = error.problems if isinstance(error, ScheduleError) else [error]
            return TouchSchedulePayload(
                touch_schedule=None, leads_in_flight=None, errors=[UserError.of(problem) for problem in found]
            )
        return TouchSchedulePayload(touch_schedule=TouchSchedule.of(stored), leads_in_flight=waiting, errors=[])
