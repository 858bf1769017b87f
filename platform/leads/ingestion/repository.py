"""All SQL of the inbox, and what ingestion reads of the tenant's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.leads.ingestion.models import MESSAGING, EventSource, EventStatus, WebhookEvent
from lead_orchestrator.leads.models import Lead, LeadOrder, LeadStatus
from lead_orchestrator.tenancy.models import CrmConfig, Location
from lead_orchestrator.tenancy.repository import is_active
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "ClaimedEvent",
    "claim",
    "claim_poll",
    "config",
    "due_events",
    "finish",
    "finish_poll",
    "forget_payloads",
    "holds",
    "known_orders",
    "location_by_shopmonkey_id",
    "lock_event",
    "open_orders_besides",
    "processed_since",
    "put_off",
    "reopen",
    "reread",
    "shopmonkey_locations",
    "sibling_orders",
    "store",
    "unheard_orders",
]


_MOST_SIBLINGS = 5


@dataclass(frozen=True)
class ClaimedEvent:
    id: UUID
    external_id: str
    operation: str
    source: str
    attempts: int
    claimed_at: datetime


async def store(session: WriteSession, event: Mapping[str, object]) -> UUID | None:
    """Put an event into the inbox; None if it, or the change it tells of, is there already."""
    statement = (
        insert(WebhookEvent)
        .values(tenant_id=session.scope.tenant_id, **event)
        .on_conflict_do_nothing()
        .returning(WebhookEvent.id)
    )
    return await session.scalar(statement)


async def claim(
    session: WriteSession, event_id: UUID, lease: timedelta, sources: Sequence[EventSource]
) -> ClaimedEvent | None:
    """Take a waiting event of these sources for `lease`; None if it is done or somebody else has it."""
    statement = (
        update(WebhookEvent)
        .where(
            WebhookEvent.tenant_id == session.scope.tenant_id,
            WebhookEvent.id == event_id,
            WebhookEvent.source.in_(sources),
            WebhookEvent.status == EventStatus.RECEIVED,
            WebhookEvent.next_attempt_at <= func.now(),
            _may_work(session, sources),
        )
        .values(attempts=WebhookEvent.attempts + 1, next_attempt_at=func.now() + lease)
        .returning(
            WebhookEvent.id,
            WebhookEvent.external_id,
            WebhookEvent.operation,
            WebhookEvent.source,
            WebhookEvent.attempts,
            func.now(),
        )
    )
    row = (await session.execute(statement)).one_or_none()
    return ClaimedEvent(*row) if row else None


async def holds(session: ReadSession, event: ClaimedEvent) -> bool:
    """Whether the event still waits for this claim's result: a worker that outlived its lease has lost it."""
    statement = select(WebhookEvent.id).where(*_claimed(session, event))
    return await session.scalar(statement) is not None


async def due_events(session: ReadSession, limit: int, sources: Sequence[EventSource]) -> Sequence[UUID]:
    """Events of these sources that wait, the longest waiting first."""
    statement = (
        select(WebhookEvent.id)
        .where(
            WebhookEvent.tenant_id == session.scope.tenant_id,
            WebhookEvent.source.in_(sources),
            WebhookEvent.status == EventStatus.RECEIVED,
            WebhookEvent.next_attempt_at <= func.now(),
            _may_work(session, sources),
        )
        .order_by(WebhookEvent.next_attempt_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


def _may_work(session: ReadSession, sources: Sequence[EventSource]) -> ColumnElement[bool]:
    """A suspended franchise's orders wait; what its customers write is read, since an opt-out waits for nothing."""
    return true() if set(sources) <= set(MESSAGING) else is_active(session.scope.tenant_id)


async def finish(session: WriteSession, event_id: UUID, status: EventStatus, outcome: str) -> None:
    await _change(session, event_id, status=status, outcome=outcome, error=None, processed_at=func.clock_timestamp())


async def put_off(session: WriteSession, event: ClaimedEvent, error: str, delay: timedelta | None) -> None:
    """Try again after `delay`; None gives up, visibly. A claim that somebody else has taken over changes nothing."""
    values: dict[str, object] = {"error": error}
    if delay is None:
        values |= {"status": EventStatus.FAILED, "processed_at": func.now()}
    else:
        values |= {"next_attempt_at": func.now() + delay}
    statement = update(WebhookEvent).where(*_claimed(session, event)).values(**values)
    await session.execute(statement.execution_options(synchronize_session=False))


async def forget_payloads(session: WriteSession, older_than: timedelta) -> int:
    """Clear what people wrote out of events that came more than `older_than` ago and were never applied."""
    statement = (
        update(WebhookEvent)
        .where(
            WebhookEvent.tenant_id == session.scope.tenant_id,
            WebhookEvent.status == EventStatus.FAILED,
            WebhookEvent.received_at < func.now() - older_than,
            WebhookEvent.payload.is_not(None),
        )
        .values(payload=None)
        .returning(WebhookEvent.id)
    )
    return len(list(await session.scalars(statement.execution_options(synchronize_session=False))))


async def lock_event(session: WriteSession, event_id: UUID) -> WebhookEvent | None:
    """The event, until the transaction's end nobody else's."""
    own = (WebhookEvent.tenant_id == session.scope.tenant_id, WebhookEvent.id == event_id)
    return await session.scalar(select(WebhookEvent).where(*own).with_for_update(key_share=True))


async def reread(session: WriteSession, event: WebhookEvent) -> WebhookEvent:
    """The event as it is now."""
    await session.refresh(event)
    return event


async def reopen(session: WriteSession, event_id: UUID) -> bool:
    """Make an event that failed or was ignored wait again; False if there is none."""
    statement = (
        update(WebhookEvent)
        .where(WebhookEvent.tenant_id == session.scope.tenant_id, WebhookEvent.id == event_id)
        .values(status=EventStatus.RECEIVED, attempts=0, next_attempt_at=func.now(), error=None)
        .returning(WebhookEvent.id)
    )
    return await session.scalar(statement) is not None


def _claimed(session: ReadSession, event: ClaimedEvent) -> tuple[ColumnElement[bool], ...]:
    return (
        WebhookEvent.tenant_id == session.scope.tenant_id,
        WebhookEvent.id == event.id,
        WebhookEvent.status == EventStatus.RECEIVED,
        WebhookEvent.attempts == event.attempts,
    )


async def _change(session: WriteSession, event_id: UUID, **values: object) -> None:
    statement = (
        update(WebhookEvent)
        .where(WebhookEvent.tenant_id == session.scope.tenant_id, WebhookEvent.id == event_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)


async def processed_since(session: ReadSession, external_id: str, since: datetime, besides: UUID) -> bool:
    """Whether another event about the same order was processed after `since`."""
    statement = select(WebhookEvent.id).where(
        WebhookEvent.tenant_id == session.scope.tenant_id,
        WebhookEvent.external_id == external_id,
        WebhookEvent.processed_at >= since,
        WebhookEvent.id != besides,
    )
    return await session.scalar(statement.limit(1)) is not None


async def open_orders_besides(session: ReadSession, order: LeadOrder) -> bool:
    """Whether the lead has another order of the same enrolment that is still a quote or booked."""
    statement = select(LeadOrder.id).where(
        LeadOrder.tenant_id == session.scope.tenant_id,
        LeadOrder.lead_id == order.lead_id,
        LeadOrder.enrolment == order.enrolment,
        LeadOrder.order_id != order.order_id,
        LeadOrder.state.in_(["QUOTE", "BOOKED"]),
    )
    return await session.scalar(statement.limit(1)) is not None


async def sibling_orders(
    session: ReadSession, location_id: UUID, order_id: str, phone: str | None, email: str | None
) -> list[str]:
    """The open orders, besides this one, of the enrolment that a person's lead is in; read without a lock."""
    same = [Lead.phone == phone] if phone else []
    same += [Lead.email == email] if email else []
    if not same:
        return []
    statement = (
        select(LeadOrder.order_id)
        .join(Lead, (Lead.tenant_id == LeadOrder.tenant_id) & (Lead.id == LeadOrder.lead_id))
        .where(
            LeadOrder.tenant_id == session.scope.tenant_id,
            Lead.location_id == location_id,
            or_(*same),
            LeadOrder.enrolment == Lead.enrolment,
            LeadOrder.order_id != order_id,
            LeadOrder.state.in_(["QUOTE", "BOOKED"]),
        )
        .order_by(LeadOrder.created_at.desc())
        .limit(_MOST_SIBLINGS)
    )
    return list(await session.scalars(statement))


async def config(session: ReadSession) -> CrmConfig | None:
    return await session.scalar(select(CrmConfig).where(CrmConfig.tenant_id == session.scope.tenant_id))


async def location_by_shopmonkey_id(session: ReadSession, shopmonkey_id: str) -> Location | None:
    statement = select(Location).where(
        Location.tenant_id == session.scope.tenant_id, Location.shopmonkey_location_id == shopmonkey_id
    )
    return await session.scalar(statement)


async def shopmonkey_locations(session: ReadSession) -> Sequence[Location]:
    """The locations that ShopMonkey knows."""
    statement = select(Location).where(
        Location.tenant_id == session.scope.tenant_id, Location.shopmonkey_location_id.is_not(None)
    )
    return list(await session.scalars(statement))


async def known_orders(session: ReadSession, order_ids: Sequence[str]) -> dict[str, str]:
    """Of these orders those that belong to a lead, with the version we last applied."""
    statement = select(LeadOrder.order_id, LeadOrder.version).where(
        LeadOrder.tenant_id == session.scope.tenant_id, LeadOrder.order_id.in_(order_ids)
    )
    return {row.order_id: row.version for row in await session.execute(statement)}


async def unheard_orders(session: ReadSession, silence: timedelta, limit: int) -> Sequence[LeadOrder]:
    """Quotes whose touches are running and of which nothing was heard for `silence`."""
    heard = (
        select(WebhookEvent.id)
        .where(
            WebhookEvent.tenant_id == session.scope.tenant_id,
            WebhookEvent.external_id == LeadOrder.order_id,
            or_(WebhookEvent.processed_at > func.now() - silence, WebhookEvent.processed_at.is_(None)),
        )
        .exists()
    )
    statement = (
        select(LeadOrder)
        .join(Lead, (Lead.tenant_id == LeadOrder.tenant_id) & (Lead.id == LeadOrder.lead_id))
        .where(
            LeadOrder.tenant_id == session.scope.tenant_id,
            LeadOrder.state == "QUOTE",
            LeadOrder.enrolment == Lead.enrolment,
            Lead.status.in_([LeadStatus.NEW, LeadStatus.CONTACTED]),
            ~heard,
        )
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def claim_poll(session: WriteSession, lease: timedelta) -> CrmConfig | None:
    """Take the tenant's poll for `lease`; None if it is not due or somebody polls."""
    statement = (
        update(CrmConfig)
        .where(
            CrmConfig.tenant_id == session.scope.tenant_id,
            CrmConfig.next_poll_at <= func.now(),
            is_active(session.scope.tenant_id),
        )
        .values(next_poll_at=func.now() + lease)
        .returning(CrmConfig)
    )
    return await session.scalar(statement)


async def finish_poll(
    session: WriteSession, *, delay: timedelta, polled_until: datetime | None, failures: int, error: str | None
) -> None:
    """Plan the next poll; `polled_until` None leaves the window where it was."""
    values: dict[str, object] = {"next_poll_at": func.now() + delay, "poll_failures": failures, "last_error": error}
    if polled_until is not None:
        values["polled_until"] = polled_until
    statement = update(CrmConfig).where(CrmConfig.tenant_id == session.scope.tenant_id).values(**values)
    await session.execute(statement.execution_options(synchronize_session=False))
