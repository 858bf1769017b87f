"""The 13 touches before they happen."""

from __future__ import annotations

from datetime import datetime

import strawberry

from lead_orchestrator.errors import UnavailableError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.lead_types import PlannedTouch
from lead_orchestrator.ids import Kind, decode

__all__ = ["SimulationQueries"]


@strawberry.type
class SimulationQueries:
    @strawberry.field
    async def simulate_touches(
        self,
        info: Request,
        lead_id: strawberry.ID | None = None,
        location_id: strawberry.ID | None = None,
        starting_at: datetime | None = None,
    ) -> list[PlannedTouch]:
        """All touches as if the lead asked at `startingAt` (now), each with what the gate would decide as things are; without
        a lead, somebody at the location who agreed to everything. Nothing is written."""
        messages = info.context.services.messages
        if messages is None:
            raise UnavailableError("no messages are sent from here")
        lead = decode(Kind.LEAD, lead_id, field="leadId") if lead_id is not None else None
        place = decode(Kind.LOCATION, location_id, field="locationId") if location_id is not None else None
        found = await info.context.run(messages.simulate, lead, place, starting_at)
        return [
            PlannedTouch(
                number=one.touch.number,
                day=one.touch.day,
                channel=one.channel,
                due_at=one.due_at,
                local_time=one.local_time,
                decision=one.decision,
            )
            for one in found
        ]
