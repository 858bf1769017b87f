"""All SQL about leads, their orders, consents and opt-outs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, false, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.keyset import After, cut
from lead_orchestrator.leads.models import (
    Channel,
    Consent,
    Lead,
    LeadOrder,
    LeadStatus,
    MessageKind,
    MessageStatus,
    OptOut,
    ScheduledMessage,
)
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "add_opt_outs",
    "cancel_open_messages",
    "erased_after",
    "find_person",
    "get",
    "get_for_update",
    "get_order",
    "lock_names",
    "mark_erased",
    "opted_out_channels",
    "paused_touch",
    "remove_opt_outs",
    "with_address",
    "with_status",
]


def add(session: WriteSession, row: Lead | LeadOrder | Consent | ScheduledMessage) -> None:
    """Insert `row` with the session's next flush."""
    session.add(row)


async def lock_names(session: WriteSession, names: Iterable[str]) -> None:
    """Hold each name until the transaction ends, so that two requests about one person or order take turns."""
    for name in sorted(set(names)):
        key = f"{session.scope.tenant_id}:{name}"
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def get(session: ReadSession, lead_id: UUID) -> Lead | None:
    return await session.scalar(select(Lead).where(Lead.tenant_id == session.scope.tenant_id, Lead.id == lead_id))


async def get_for_update(session: WriteSession, lead_id: UUID) -> Lead | None:
    """The lead, locked: whoever sends, books or opts out takes this lock first."""
    statement = (
        select(Lead)
        .where(Lead.tenant_id == session.scope.tenant_id, Lead.id == lead_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(statement)


async def get_order(session: ReadSession, order_id: str) -> LeadOrder | None:
    statement = select(LeadOrder).where(LeadOrder.tenant_id == session.scope.tenant_id, LeadOrder.order_id == order_id)
    return await session.scalar(statement)


async def find_person(
    session: WriteSession, location_id: UUID, phone: str | None, email: str | None, whatsapp_user_id: str | None = None
) -> Lead | None:
    """The lead of this person at this location, locked: by phone before e-mail, open before closed, newest first."""
    same = _same(phone, email, whatsapp_user_id)
    if not same:
        return None
    closed = case((Lead.status.in_([LeadStatus.WON, LeadStatus.LOST]), 1), else_=0)
    by_email = case((Lead.phone == phone, 0), else_=1) if phone else case((Lead.email == email, 0), else_=1)
    statement = (
        select(Lead)
        .where(Lead.tenant_id == session.scope.tenant_id, Lead.location_id == location_id, or_(*same))
        .order_by(by_email, closed, Lead.created_at.desc())
        .limit(1)
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement)


async def with_address(
    session: WriteSession, phone: str | None, email: str | None, whatsapp_user_id: str | None = None
) -> Sequence[Lead]:
    """Every lead of the tenant with one of these addresses, locked in one order."""
    same = _same(phone, email, whatsapp_user_id)
    if not same:
        return []
    statement = (
        select(Lead)
        .where(Lead.tenant_id == session.scope.tenant_id, or_(*same))
        .order_by(Lead.id)
        .with_for_update(key_share=True)
    )
    return list(await session.scalars(statement))


def _same(phone: str | None, email: str | None, whatsapp_user_id: str | None) -> list[ColumnElement[bool]]:
    given = ((Lead.phone, phone), (Lead.email, email), (Lead.whatsapp_user_id, whatsapp_user_id))
    return [column == value for column, value in given if value]


async def cancel_open_messages(
    session: WriteSession, lead_id: UUID, decision: str, *, kinds: Sequence[MessageKind]
) -> int:
    """Cancel what this lead would still be sent of these kinds; returns how many."""
    statement = (
        update(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id == lead_id,
            ScheduledMessage.kind.in_(kinds),
            ScheduledMessage.status == MessageStatus.SCHEDULED,
        )
        .values(status=MessageStatus.CANCELLED, decision=decision)
        .returning(ScheduledMessage.id)
    )
    await session.flush()
    return len(list(await session.scalars(statement)))


async def paused_touch(session: WriteSession, lead: Lead) -> ScheduledMessage | None:
    """The running enrolment's last touch, if it was cancelled before it could be sent."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id == lead.id,
            ScheduledMessage.enrolment == lead.enrolment,
            ScheduledMessage.kind == MessageKind.TOUCH,
        )
        .order_by(ScheduledMessage.touch_number.desc())
        .limit(1)
    )
    last = await session.scalar(statement)
    return last if last is not None and last.status == MessageStatus.CANCELLED else None


async def opted_out_channels(session: ReadSession, hashes: Mapping[Channel, bytes]) -> set[Channel]:
    """Those channels of `hashes` whose address is in the ledger."""
    if not hashes:
        return set()
    pairs = [and_(OptOut.channel == channel, OptOut.address_hash == value) for channel, value in hashes.items()]
    statement = select(OptOut.channel).where(OptOut.tenant_id == session.scope.tenant_id, or_(*pairs))
    return {Channel(channel) for channel in await session.scalars(statement)}


async def add_opt_outs(session: WriteSession, hashes: Mapping[Channel, bytes], reason: str, at: datetime) -> None:
    rows = [
        {"tenant_id": session.scope.tenant_id, "channel": channel, "address_hash": value, "reason": reason, "at": at}
        for channel, value in hashes.items()
    ]
    if rows:
        await session.execute(insert(OptOut).values(rows).on_conflict_do_nothing())


async def mark_erased(session: WriteSession, hashes: Mapping[Channel, bytes], at: datetime) -> None:
    """Note since when nothing else is held of these addresses."""
    statement = update(OptOut).where(OptOut.tenant_id == session.scope.tenant_id, _either(hashes)).values(erased_at=at)
    await session.execute(statement.execution_options(synchronize_session=False))


async def erased_after(session: ReadSession, hashes: Mapping[Channel, bytes], moment: datetime) -> bool:
    """Whether any of these addresses was erased after that moment."""
    erased = select(OptOut.id).where(
        OptOut.tenant_id == session.scope.tenant_id, _either(hashes), OptOut.erased_at > moment
    )
    return bool(await session.scalar(select(erased.exists())))


def _either(hashes: Mapping[Channel, bytes]) -> ColumnElement[bool]:
    pairs = [and_(OptOut.channel == channel, OptOut.address_hash == value) for channel, value in hashes.items()]
    return or_(false(), *pairs)


async def remove_opt_outs(session: WriteSession, hashes: Mapping[Channel, bytes]) -> None:
    if hashes:
        await session.execute(delete(OptOut).where(OptOut.tenant_id == session.scope.tenant_id, _either(hashes)))


async def with_status(session: ReadSession, statuses: Sequence[LeadStatus], after: After, limit: int) -> Sequence[Lead]:
    """Leads of the session's locations with one of these statuses, the newest first."""
    scope = session.scope
    statement = select(Lead).where(Lead.tenant_id == scope.tenant_id, Lead.status.in_(statuses))
    if scope.location_ids is not None:  # said here as well, so that an index can help
        statement = statement.where(Lead.location_id.in_(scope.location_ids))
    return list(await session.scalars(cut(Lead.created_at, Lead.id, after, limit).of(statement)))


async def count(session: ReadSession) -> int:
    """How many leads the session sees."""
    statement = select(func.count()).select_from(Lead).where(Lead.tenant_id == session.scope.tenant_id)
    return int(await session.scalar(statement) or 0)
