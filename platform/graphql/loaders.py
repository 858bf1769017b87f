"""What fields of many rows need is loaded for all of them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from lead_orchestrator.booking import repository as booking_repository
from lead_orchestrator.booking.calendar import repository as calendar_repository
from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.catalog import repository as catalog_repository
from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.chat import repository as chat_repository
from lead_orchestrator.chat.models import ChatMessage, ChatSession
from lead_orchestrator.graphql import repository
from lead_orchestrator.graphql.cursors import Page
from lead_orchestrator.keyset import After
from lead_orchestrator.leads.models import Consent, Lead, LeadEvent, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location, LocationHours, User
from lead_orchestrator.tenancy.sessions import ReadSession
from lead_orchestrator.touches.service import Schedule, schedules

__all__ = ["Loaders", "Run"]

V = TypeVar("V")
Query = Callable[..., Awaitable[Mapping[UUID, Any]]]
PageOf = tuple[UUID, Page]
EventsOf = tuple[UUID, int, int | None]
OfLead = tuple[UUID, After, int]


class Run(Protocol):
    """Runs a repository's function in the operation's session."""

    async def __call__(self, query: Callable[..., Awaitable[V]], *args: Any) -> V: ...


class Loaders:
    """One operation's: rows by key, each loaded once, until `forget`."""

    def __init__(self, run: Run, shops: Run) -> None:
        """`shops` reads what a shop offers to everybody: for a visitor a service does that."""
        self._run = run
        self.locations: DataLoader[UUID, Location | None] = self._one(tenancy_repository.locations_by_id)
        self.leads: DataLoader[UUID, Lead | None] = self._one(repository.leads_by_id)
        self.users: DataLoader[UUID, User | None] = self._one(repository.users_by_id)
        self.messages: DataLoader[UUID, ScheduledMessage | None] = self._one(repository.messages_by_id)
        self.inbound: DataLoader[UUID, MessageLog | None] = self._one(repository.inbound_by_id)
        self.last_attempts: DataLoader[UUID, MessageLog | None] = self._one(repository.last_attempts)
        self.next_touches: DataLoader[UUID, ScheduledMessage | None] = self._one(repository.next_touches)
        self.every_location: DataLoader[int, list[Location]] = DataLoader(self._visible)
        self.hours: DataLoader[UUID, list[LocationHours]] = self._one(repository.hours_of, list)
        self.consents: DataLoader[UUID, list[Consent]] = self._one(repository.consents_of, list)
        self.schedules: DataLoader[UUID, Schedule] = self._one(_schedules, dict)
        self.message_counts: DataLoader[UUID, int] = self._one(repository.message_counts, int)
        self.event_counts: DataLoader[UUID, int] = self._one(repository.event_counts, int)
        self.sent: DataLoader[PageOf, list[ScheduledMessage]] = self._pages(repository.messages_of)
        self.received: DataLoader[PageOf, list[MessageLog]] = self._pages(repository.inbound_of)
        self.events: DataLoader[EventsOf, list[LeadEvent]] = self._pages(repository.events_of)
        self.services: DataLoader[UUID, Service | None] = self._one(catalog_repository.services_by_id, run=shops)
        self.location_services: DataLoader[tuple[UUID, bool], list[Service]] = self._pages(_offered)
        self.closures: DataLoader[UUID, list[Closure]] = self._one(catalog_repository.closures_of, list)
        self.calendars: DataLoader[UUID, GoogleCredential | None] = self._one(calendar_repository.connections_of)
        self.appointments: DataLoader[UUID, Appointment | None] = self._one(booking_repository.appointments_by_id)
        self.appointment_services: DataLoader[UUID, list[Service]] = self._one(booking_repository.services_of, list)
        self.appointment_counts: DataLoader[UUID, int] = self._one(booking_repository.appointment_counts, int)
        self.lead_appointments: DataLoader[OfLead, list[Appointment]] = self._pages(booking_repository.appointments_of)
        self.chat_sessions: DataLoader[UUID, ChatSession | None] = self._one(chat_repository.chat_sessions_by_id)
        self.chat_messages: DataLoader[UUID, ChatMessage | None] = self._one(chat_repository.chat_messages_by_id)
        self.chat_message_counts: DataLoader[UUID, int] = self._one(chat_repository.chat_message_counts, int)
        self.lead_chat_counts: DataLoader[UUID, int] = self._one(chat_repository.session_counts, int)
        self.lead_chats: DataLoader[OfLead, list[ChatSession]] = self._pages(chat_repository.chat_sessions_of)
        self.chat_messages_of: DataLoader[tuple[UUID, chat_repository.ChatPart], list[ChatMessage]] = self._pages(
            chat_repository.chat_messages_of
        )

    async def _visible(self, limits: list[int]) -> list[list[Location]]:
        """All that the caller sees, up to each limit."""
        rows = await self._run(repository.visible_locations, None, max(limits))
        return [list(rows[:limit]) for limit in limits]

    def forget(self) -> None:
        """What was loaded may have changed."""
        for loader in vars(self).values():
            if isinstance(loader, DataLoader):
                loader.clear_all()

    def _one(
        self, query: Query, missing: Callable[[], Any] = lambda: None, run: Run | None = None
    ) -> DataLoader[UUID, Any]:
        async def load(keys: list[UUID]) -> list[Any]:
            found = await (run or self._run)(query, keys)
            return [found[key] if key in found else missing() for key in keys]

        return DataLoader(load)

    def _pages(self, query: Query) -> DataLoader[Any, Any]:
        """Keys are a lead's id and how its list is cut; lists cut alike are loaded together."""

        async def load(keys: list[tuple[Any, ...]]) -> list[Any]:
            found: dict[tuple[Any, ...], Mapping[UUID, Any]] = {}
            for cut in {key[1:] for key in keys}:
                found[cut] = await self._run(query, [key[0] for key in keys if key[1:] == cut], *cut)
            return [found[key[1:]].get(key[0], []) for key in keys]

        return DataLoader(load)


async def _schedules(session: ReadSession, location_ids: Sequence[UUID]) -> Mapping[UUID, Schedule]:
    return await schedules(session, location_ids)


async def _offered(
    session: ReadSession, location_ids: Sequence[UUID], active_only: bool
) -> Mapping[UUID, list[Service]]:
    return await catalog_repository.offered_at(session, location_ids, active_only=active_only)
