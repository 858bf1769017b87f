"""Connecting a location with a calendar outside."""

from __future__ import annotations

import strawberry

from lead_orchestrator.booking.calendar.connections import CALLBACK, CONSENT_LIFE, GoogleConnections
from lead_orchestrator.errors import AppError, UnavailableError
from lead_orchestrator.graphql.catalog.types import ConnectCalendarPayload, LocationPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import GraphQLServices, Request
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import models
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["CalendarMutations"]


@strawberry.type
class CalendarMutations:
    @strawberry.mutation
    async def connect_google_calendar(self, info: Request, location_id: strawberry.ID) -> ConnectCalendarPayload:
        """Send the caller's browser to the answer's address, where Google asks for the permission; Google sends it back to
        us. Until then nothing changes. The browser keeps a cookie with this answer: the consent counts there alone."""
        try:
            async with info.context.writing() as session:
                key = decode(Kind.LOCATION, location_id, field="locationId")
                connections = _connections(info.context.services)
                url = await connections.connect(session, key)
        except AppError as error:
            return ConnectCalendarPayload(authorization_url=None, errors=[UserError.of(error)])
        name, value = connections.cookie(url)
        info.context.keep_cookie(name, value, path=CALLBACK, seconds=int(CONSENT_LIFE.total_seconds()))
        return ConnectCalendarPayload(authorization_url=url, errors=[])

    @strawberry.mutation
    async def disconnect_google_calendar(self, info: Request, location_id: strawberry.ID) -> LocationPayload:
        """Give the permission back and forget what the calendar said; booking goes on without it."""

        async def work(session: WriteSession) -> models.Location:
            key = decode(Kind.LOCATION, location_id, field="locationId")
            return await _connections(info.context.services).disconnect(session, key)

        return await answer(info, work, LocationPayload.of)


def _connections(services: GraphQLServices) -> GoogleConnections:
    if services.calendars is None:
        raise UnavailableError("calendars cannot be connected here")
    return services.calendars
