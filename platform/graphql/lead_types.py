"""Leads, what they were sent and are owed, and what happened to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

import strawberry

from lead_orchestrator.graphql import repository
from lead_orchestrator.graphql.booking.of_leads import LeadAppointments
from lead_orchestrator.graphql.chat.of_leads import LeadChats
from lead_orchestrator.graphql.connections import Connection, Count, Node, UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, checked_first, cursor, page, position_cursor, position_of
from lead_orchestrator.graphql.enums import (
    Channel,
    LeadOrder,
    LeadSource,
    LeadStatus,
    MessageDirection,
    MessageKind,
    MessageStatus,
)
from lead_orchestrator.graphql.repository import LeadQuery
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads import models
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES

__all__ = [
    "MESSAGE_ORDER",
    "Lead",
    "LeadConnection",
    "LeadPayload",
    "Message",
    "MessageConnection",
    "message_cursor",
]

MESSAGE_ORDER = "message.created_at"


@strawberry.type
class Vehicle:
    year: int | None
    make: str | None
    model: str | None

    @classmethod
    def of(cls, stored: dict[str, object] | None) -> Vehicle | None:
        if not stored:
            return None
        make, model = stored.get("make"), stored.get("model")
        return cls(
            year=_year(stored.get("year")), make=str(make) if make else None, model=str(model) if model else None
        )


def _year(stored: object) -> int | None:
    text = str(stored)
    return int(text) if text.isascii() and text.isdecimal() and len(text) == 4 else None  # noqa: PLR2004 - as years have


@strawberry.type
class Consent:
    channel: Channel
    granted: bool
    source: str
    wording: str | None
    at: datetime

    @classmethod
    def of(cls, row: models.Consent) -> Consent:
        return cls(
            channel=models.Channel(row.channel), granted=row.granted, source=row.source, wording=row.wording, at=row.at
        )


@strawberry.type
class PlannedTouch:
    number: int
    day: int
    channel: Channel
    due_at: datetime
    local_time: str
    decision: str | None


@strawberry.type
class Lead(LeadAppointments, LeadChats, Node):
    key: strawberry.Private[UUID]
    location_key: strawberry.Private[UUID]
    first_name: str | None
    last_name: str | None
    name: str
    email: str | None
    phone: str | None
    status: LeadStatus
    source: LeadSource
    vehicle: Vehicle | None
    external_order_id: str | None
    created_at: datetime
    last_activity_at: datetime
    first_contacted_at: datetime | None
    touches_sent: int
    touches_paused: bool
    opted_out: list[Channel]
    time_zone: str | None
    postal_code: str | None
    survey: JSON | None

    @classmethod
    def of(cls, row: models.Lead) -> Lead:
        return cls(
            id=strawberry.ID(encode(Kind.LEAD, row.id)),
            key=row.id,
            location_key=row.location_id,
            first_name=row.first_name,
            last_name=row.last_name,
            name=row.name,
            email=row.email,
            phone=row.phone,
            status=models.LeadStatus(row.status),
            source=models.LeadSource(row.source),
            vehicle=Vehicle.of(row.vehicle),
            external_order_id=row.external_order_id,
            created_at=row.created_at,
            last_activity_at=row.last_activity_at,
            first_contacted_at=row.first_contacted_at,
            touches_sent=row.touches_sent,
            touches_paused=row.touches_paused,
            opted_out=[models.Channel(channel) for channel in row.opted_out],
            time_zone=row.time_zone,
            postal_code=row.postal_code,
            survey=JSON(row.survey) if row.survey is not None else None,
        )

    @strawberry.field
    async def location(self, info: Request) -> Location:
        row = await info.context.loaders.locations.load(self.location_key)
        if row is None:
            raise LookupError("a lead without its location")
        return Location.of(row)

    @strawberry.field
    async def next_touch(self, info: Request) -> PlannedTouch | None:
        touch = await info.context.loaders.next_touches.load(self.key)
        return await _planned(info, touch) if touch else None

    @strawberry.field
    async def consents(self, info: Request) -> list[Consent]:
        """Newest first."""
        return [Consent.of(row) for row in await info.context.loaders.consents.load(self.key)]

    @strawberry.field
    async def messages(self, info: Request, first: int | None = None, after: str | None = None) -> MessageConnection:
        """Newest first."""
        wanted = page(first, after, MESSAGE_ORDER, (Kind.MESSAGE, Kind.MESSAGE_LOG))
        loaders = info.context.loaders
        sent, received = await loaders.sent.load((self.key, wanted)), await loaders.received.load((self.key, wanted))
        count = partial(loaders.message_counts.load, self.key)
        return MessageConnection.merged(sent, received, wanted, after, count)

    @strawberry.field
    async def timeline(self, info: Request, first: int | None = None, after: str | None = None) -> LeadEventConnection:
        """Newest first."""
        return await LeadEventConnection.load(info, self, checked_first(first), after)


async def _planned(info: Request, touch: models.ScheduledMessage) -> PlannedTouch:
    schedule = await info.context.loaders.schedules.load(touch.location_id)
    place = await info.context.loaders.locations.load(touch.location_id)
    number = touch.touch_number or 0
    zone = ZoneInfo(place.timezone if place else "UTC")
    return PlannedTouch(
        number=number,
        day=(schedule.get(number) or DEFAULT_TOUCHES[number - 1]).day,
        channel=models.Channel(touch.channel),
        due_at=touch.due_at,
        local_time=touch.due_at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M"),
        decision=touch.decision,
    )


@strawberry.type
class Message(Node):
    """What was or is to be sent, with its last attempt; or what came in."""

    key: strawberry.Private[UUID]
    lead_key: strawberry.Private[UUID]
    at: strawberry.Private[datetime]
    kind: MessageKind
    channel: Channel
    direction: MessageDirection
    status: MessageStatus
    stored_body: strawberry.Private[str | None]
    stored_subject: strawberry.Private[str | None]
    touch_number: int | None
    due_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    decision: str | None
    provider_message_id: str | None
    error_code: str | None
    attempts: int
    segments: int | None
    template_version: int | None = strawberry.field(
        description="The version of the template of its kind that made it; 0 is the built-in text."
    )

    @classmethod
    def of(cls, row: models.ScheduledMessage) -> Message:
        return cls(
            id=strawberry.ID(encode(Kind.MESSAGE, row.id)),
            key=row.id,
            lead_key=row.lead_id,
            at=row.created_at,
            kind=MessageKind(row.kind),
            channel=models.Channel(row.channel),
            direction=MessageDirection.OUTBOUND,
            status=MessageStatus(row.status),
            stored_body=row.body,
            stored_subject=row.subject,
            touch_number=row.touch_number,
            due_at=row.due_at,
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
            decision=row.decision,
            provider_message_id=row.provider_message_id,
            error_code=row.error_code,
            attempts=row.attempt,
            segments=row.segments,
            template_version=row.template_version,
        )

    @classmethod
    def of_inbound(cls, row: MessageLog) -> Message:
        return cls(
            id=strawberry.ID(encode(Kind.MESSAGE_LOG, row.id)),
            key=row.id,
            lead_key=row.lead_id,
            at=row.at,
            kind=MessageKind.INBOUND,
            channel=models.Channel(row.channel),
            direction=MessageDirection.INBOUND,
            status=MessageStatus.RECEIVED,
            stored_body=row.body,
            stored_subject=row.subject,
            touch_number=None,
            due_at=None,
            sent_at=row.at,
            delivered_at=row.at,
            decision=None,
            provider_message_id=row.provider_message_id,
            error_code=row.error_code,
            attempts=0,
            segments=None,
            template_version=None,
        )

    @strawberry.field
    async def body(self, info: Request) -> str:
        """Empty until it is worded, which is when it is sent."""
        if self.stored_body is not None:
            return self.stored_body
        attempt = await self._last_attempt(info)
        return attempt.body if attempt else ""

    @strawberry.field
    async def subject(self, info: Request) -> str | None:
        if self.stored_subject is not None or self.stored_body is not None:
            return self.stored_subject
        attempt = await self._last_attempt(info)
        return attempt.subject if attempt else None

    @strawberry.field
    async def lead(self, info: Request) -> Lead | None:
        row = await info.context.loaders.leads.load(self.lead_key)
        return Lead.of(row) if row else None

    async def _last_attempt(self, info: Request) -> MessageLog | None:
        return await info.context.loaders.last_attempts.load(self.key) if self.attempts else None

    @property
    def place(self) -> tuple[datetime, UUID]:
        return self.at, self.key


@strawberry.type
class MessageConnection(Connection[Message]):
    """Newest first."""

    @classmethod
    def merged(
        cls,
        sent: Iterable[models.ScheduledMessage],
        received: Iterable[MessageLog],
        wanted: Page,
        after: str | None,
        count: Count,
    ) -> Self:
        """A page of what was and is to be sent and of what came in, from the first of both."""
        both = [*map(Message.of, sent), *map(Message.of_inbound, received)]
        both.sort(key=lambda message: message.place, reverse=True)
        return cls.page(((message_cursor(message), message) for message in both), wanted.first, after, count)


def message_cursor(message: Message) -> str:
    kind = Kind.MESSAGE if message.direction is MessageDirection.OUTBOUND else Kind.MESSAGE_LOG
    return cursor(MESSAGE_ORDER, Key(message.at, message.key), kind)


@strawberry.type
class LeadEvent:
    cursor: str
    kind: str
    at: datetime
    detail: JSON | None
    lead: Lead


@strawberry.type
class LeadEventConnection(Connection[LeadEvent]):
    """Newest first."""

    @classmethod
    async def load(cls, info: Request, lead: Lead, first: int, after: str | None) -> Self:
        rows = await info.context.loaders.events.load((lead.key, first, position_of(after)))
        events = (
            LeadEvent(
                cursor=position_cursor(row.position),
                kind=row.kind,
                at=row.at,
                detail=JSON(row.detail) if row.detail is not None else None,
                lead=lead,
            )
            for row in rows
        )
        count = partial(info.context.loaders.event_counts.load, lead.key)
        return cls.page(((event.cursor, event) for event in events), first, after, count)


@strawberry.type
class LeadConnection(Connection[Lead]):
    """In the order asked for."""

    @classmethod
    async def load(cls, info: Request, query: LeadQuery, order: LeadOrder, wanted: Page, after: str | None) -> Self:
        rows = await info.context.run(repository.leads_page, query, order.value, wanted)
        count = partial(info.context.run, repository.count_leads, query)
        return cls.page(((_lead_cursor(row, order), Lead.of(row)) for row in rows), wanted.first, after, count)


def _lead_cursor(row: models.Lead, order: LeadOrder) -> str:
    at = row.last_activity_at if order is LeadOrder.LAST_ACTIVITY_DESC else row.created_at
    return cursor(order.value, Key(at, row.id), Kind.LEAD)


@strawberry.type
class LeadPayload:
    lead: Lead | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: models.Lead | None, errors: list[UserError]) -> Self:
        return cls(lead=Lead.of(row) if row else None, errors=errors)
