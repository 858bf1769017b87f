"""How visitors of a booking page get their token."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError, UnavailableError
from lead_orchestrator.graphql.chat.entering import StartChatPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.doors import let_near, place_of, spend

__all__ = ["BookingEntrance"]


@strawberry.type
class BookingEntrance:
    @strawberry.mutation
    async def start_booking(self, info: Request, location_slug: str) -> StartChatPayload:
        """Public. The answer's `visitorToken` is for the free times of this shop, and for holding and booking one; it is for no
        conversation: `session` is null."""
        context = info.context
        try:
            await spend(context)
            place = await place_of(context, location_slug)
            await let_near(context, place)
            if context.services.booking_visitors is None:
                raise UnavailableError("nothing can be booked here")
            token = context.services.booking_visitors.token(place)
            context.become(token)
        except AppError as error:
            return StartChatPayload(errors=[UserError.of(error)])
        return StartChatPayload(visitor_token=token, expires_at=context.claims.expires_at)
