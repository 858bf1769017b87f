"""The inbox of messages and statuses: stored first, applied once, tried again when something is away."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.leads.ingestion import repository as inbox
from lead_orchestrator.leads.ingestion.models import MESSAGING, EventStatus, WebhookEvent
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound import repository
from lead_orchestrator.messaging.inbound.listening import Listened, Listening
from lead_orchestrator.messaging.inbound.models import SOURCES, Heard, News, Told
from lead_orchestrator.messaging.inbound.statuses import Statuses
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["Applied", "Inbound", "keep"]

_log = get_logger(__name__)

LEASE = timedelta(seconds=30)
MOST_ATTEMPTS = 12
LONGEST_DELAY_SECONDS = 900.0


@dataclass(frozen=True)
class Applied:
    """What became of an event; `answer_to` is the lead to whom something is to be said at once."""

    status: EventStatus
    outcome: str
    message: bool
    answer_to: UUID | None = None


async def keep(session: WriteSession, location_id: UUID | None, told: Iterable[Told]) -> list[UUID]:
    """Store what a provider told; returns the ids of what is new. `location_id` None: the whole tenant's."""
    place = location_id or await repository.first_location(session)
    events = [_event(place, location_id, one) for one in told]
    stored = [await inbox.store(session, event) for event in events]
    return [event_id for event_id in stored if event_id is not None]


class Inbound:
    """Applies events. Each is applied in the one transaction that marks it as done, so twice is as good as once."""

    def __init__(self, tenancy: Tenancy, listening: Listening, statuses: Statuses) -> None:
        self._tenancy = tenancy
        self._listening = listening
        self._statuses = statuses

    async def process(self, tenant_id: UUID, event_id: UUID) -> Applied | None:
        """Apply one event; None if it was done already, somebody else is at it or it is none of these."""
        scope = Scope.service(tenant_id, "inbound")
        try:
            async with self._tenancy.write(scope) as session:
                claimed = await inbox.claim(session, event_id, LEASE, MESSAGING)
                return await self._apply(session, claimed) if claimed else None
        except Exception as error:  # noqa: BLE001 - one event that trips us must not hold up the others, nor be tried for ever
            _log.exception("event_unexpected", event_id=str(event_id))
            return await self._try_later(scope, event_id, f"unexpected: {type(error).__name__}")

    async def sweep(self, tenant_id: UUID, limit: int = 50) -> list[Applied]:
        """Apply the events whose wake-up was lost."""
        async with self._tenancy.read(Scope.service(tenant_id, "inbound")) as session:
            waiting = await inbox.due_events(session, limit, MESSAGING)
        done = [await self.process(tenant_id, event_id) for event_id in waiting]
        return [result for result in done if result is not None]

    async def _apply(self, session: WriteSession, claimed: inbox.ClaimedEvent) -> Applied:
        event = await repository.event(session, claimed.id)
        applied = await self._told(session, event)
        event.payload = None  # the ledger has it now, or nobody should
        await session.flush()
        await inbox.finish(session, claimed.id, applied.status, applied.outcome)
        return applied

    async def _told(self, session: WriteSession, event: WebhookEvent) -> Applied:
        if event.payload is None:
            return Applied(EventStatus.IGNORED, "what it said is not kept any more", message=False)
        told, location = cast("dict[str, object]", event.payload["told"]), event.payload["location"]
        if event.operation == "message":
            place = UUID(str(location)) if location else None
            waited = await real_now(session) - event.received_at
            return _heard(await self._listening.hear(session, Heard.of(told), place, waited))
        outcome = await self._statuses.apply(session, News.of(told))
        return Applied(EventStatus.PROCESSED, outcome, message=False)

    async def _try_later(self, scope: Scope, event_id: UUID, error: str) -> Applied | None:
        async with self._tenancy.write(scope) as session:
            claimed = await inbox.claim(session, event_id, LEASE, MESSAGING)
            if claimed is None:
                return None
            seconds = min(2.0**claimed.attempts, LONGEST_DELAY_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            again = claimed.attempts < MOST_ATTEMPTS
            await inbox.put_off(session, claimed, error, timedelta(seconds=seconds) if again else None)
        return Applied(EventStatus.RECEIVED if again else EventStatus.FAILED, error, message=False)


def _heard(listened: Listened) -> Applied:
    status = EventStatus.IGNORED if listened.lead_id is None else EventStatus.PROCESSED
    return Applied(status, listened.outcome, True, listened.lead_id if listened.answer_due else None)


def _event(place: UUID, location_id: UUID | None, told: Told) -> dict[str, object]:
    what = told.what
    return {
        "location_id": place,
        "source": SOURCES[what.channel],
        "delivery_id": told.change,
        "change_key": told.change,
        "operation": "message" if isinstance(what, Heard) else "status",
        "external_id": what.provider_id or told.change,
        "payload": {"told": what.payload(), "location": str(location_id) if location_id else None},
    }
