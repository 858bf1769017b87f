"""What can be subscribed to. Each field's events are streamed by `events`, over a socket only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.booking.types import Appointment
from lead_orchestrator.graphql.chat.events import ChatEvent
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.lead_types import LeadEvent

__all__ = ["AppointmentEvent", "SocketsOnly", "Subscription"]

NO_SOCKET = "subscriptions go over a WebSocket: connect to this path with the subprotocol graphql-transport-ws"


class SocketsOnly(SchemaExtension):
    """Over HTTP a subscription is refused; the library would take it for a query."""

    def on_execute(self) -> Iterator[None]:
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            raise GraphQLError(NO_SOCKET)
        yield


@strawberry.type
class AppointmentEvent:
    appointment_key: strawberry.Private[UUID]
    cursor: str
    kind: str
    at: datetime

    @strawberry.field
    async def appointment(self, info: Request) -> Appointment:
        row = await info.context.loaders.appointments.load(self.appointment_key)
        if row is None:
            raise LookupError("an event of an appointment that is not there")
        return Appointment.of(row)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def lead_events(
        self,
        location_ids: list[strawberry.ID] | None = None,  # noqa: ARG002 - read where the socket is served
        after: str | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncIterator[LeadEvent]:
        """What happens to leads, in the order of its commits; `after` is the cursor of the last event seen."""
        raise BadInputError(NO_SOCKET)
        yield  # makes it a generator, as the library wants one

    @strawberry.subscription
    async def appointment_events(
        self,
        location_ids: list[strawberry.ID] | None = None,  # noqa: ARG002 - read where the socket is served
        after: str | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncIterator[AppointmentEvent]:
        """What happens to appointments, in the order of its commits; `after` is the cursor of the last event seen."""
        raise BadInputError(NO_SOCKET)
        yield  # makes it a generator, as the library wants one

    @strawberry.subscription
    async def chat_events(
        self,
        session_id: strawberry.ID,  # noqa: ARG002 - read where the socket is served
        after: str | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncIterator[ChatEvent]:
        """What is said and done in a conversation; `after` is the cursor of the last event or message seen."""
        raise BadInputError(NO_SOCKET)
        yield  # makes it a generator, as the library wants one
