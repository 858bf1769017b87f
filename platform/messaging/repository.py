"""All SQL of the ledger: claiming what is due, recording what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    CompoundSelect,
    Select,
    Table,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    union,
    union_all,
    update,
)
from sqlalchemy.orm import aliased

from lead_orchestrator.clock import real_now
from lead_orchestrator.leads.models import Channel, Lead, MessageStatus, OptOut, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import MessagingConfig, Moment, Tenant
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "Closing",
    "Due",
    "Setting",
    "Traffic",
    "add",
    "add_attempts",
    "add_messages",
    "attempt_of",
    "attempts_since",
    "cancel_by_reference",
    "claim_due",
    "claim_statement",
    "claim_unknown",
    "close_attempts",
    "config",
    "count_unsettled",
    "expire_leases",
    "lock_message",
    "lock_sending",
    "message",
    "opted_out_addresses",
    "owned_provider_ids",
    "postpone_check",
    "refuse_channel",
    "relock_message",
    "setting",
    "traffic",
    "traffic_statement",
]

_APP_NOW = func.app_now()
_CHAT_SESSIONS = table(  # `chat` stands above this package; who takes a conversation over locks its lead first
    "chat_sessions",
    column("tenant_id", Uuid),
    column("lead_id", Uuid),
    column("channel", Text),
    column("state", Text),
    column("verified", Boolean),
    column("held_until", Moment),
    column("created_at", Moment),
)


@dataclass(frozen=True)
class Due:
    """A due message and its lead, both locked."""

    message: ScheduledMessage
    lead: Lead


@dataclass(frozen=True)
class Setting:
    """A tenant with its messaging settings, at the product's time."""

    tenant: Tenant
    config: MessagingConfig
    now: datetime


@dataclass(frozen=True)
class Traffic:
    """By lead: whose person a message is just being sent; whose conversation somebody of staff has; when the person was written
    to within a week, as this lead or as another with an address of it; when they last wrote on each channel within a day."""

    sending: set[UUID]
    with_person: set[UUID]
    sent: dict[UUID, list[datetime]]
    wrote_at: dict[UUID, dict[Channel, datetime]]


@dataclass(frozen=True)
class Closing:
    """What became of one attempt."""

    message: UUID
    number: int
    outcome: str
    sid: str | None
    code: str | None


_LOGS = cast("Table", MessageLog.__table__)
_CLOSE = (
    update(_LOGS)
    .where(
        _LOGS.c.tenant_id == bindparam("tenant"),
        _LOGS.c.message_id == bindparam("message"),
        _LOGS.c.attempt == bindparam("number"),
    )
    .values(
        status=bindparam("outcome"),
        provider_message_id=bindparam("sid"),
        error_code=bindparam("code"),
        finished_at=func.clock_timestamp(),
    )
)


def claim_statement(session: WriteSession, limit: int) -> Select[ScheduledMessage, Lead]:
    """The claim: an index range of what is due, however much waits behind it."""
    return (
        select(ScheduledMessage, Lead)
        .join(Lead, (Lead.tenant_id == ScheduledMessage.tenant_id) & (Lead.id == ScheduledMessage.lead_id))
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.status == MessageStatus.SCHEDULED,
            ScheduledMessage.due_at <= _APP_NOW,
        )
        .order_by(ScheduledMessage.due_at, ScheduledMessage.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True, of=[ScheduledMessage, Lead])
    )


async def claim_due(session: WriteSession, limit: int, lead_id: UUID | None = None) -> Sequence[Due]:
    """Lock up to `limit` due messages with their leads, the longest due first; what somebody else holds is left out.

    Opt-out, take-over and booking change the lead row: they and a claim exclude each other.
    """
    statement = claim_statement(session, limit)
    if lead_id is not None:
        statement = statement.where(ScheduledMessage.lead_id == lead_id)
    return [Due(message, lead) for message, lead in await session.execute(statement)]


async def count_unsettled(session: ReadSession) -> int:
    """How many messages of the tenant are due, being sent or unknown."""
    due = (ScheduledMessage.status == MessageStatus.SCHEDULED) & (ScheduledMessage.due_at <= _APP_NOW)
    statement = select(func.count()).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id,
        or_(due, ScheduledMessage.status.in_([MessageStatus.SENDING, MessageStatus.UNKNOWN])),
    )
    return int(await session.scalar(statement) or 0)


async def opted_out_addresses(session: ReadSession, hashes: Sequence[bytes]) -> set[tuple[str, bytes]]:
    """Channel and hash of those addresses that must not be written to."""
    statement = select(OptOut.channel, OptOut.address_hash).where(
        OptOut.tenant_id == session.scope.tenant_id, OptOut.address_hash.in_(hashes)
    )
    return {(channel, value) for channel, value in await session.execute(statement)}


async def traffic(session: ReadSession, lead_ids: Sequence[UUID]) -> Traffic:
    """What happened lately between us and these leads; read after their lock was taken."""
    found = Traffic(set(), set(), {}, {})
    for lead_id, what, channel, at in await session.execute(traffic_statement(session.scope.tenant_id, lead_ids)):
        match what:
            case "sending":
                found.sending.add(lead_id)
            case "sent":
                found.sent.setdefault(lead_id, []).append(at)
            case "wrote":
                found.wrote_at.setdefault(lead_id, {})[Channel(channel)] = at
            case "person":
                found.with_person.add(lead_id)
    return found


def traffic_statement(tenant_id: UUID, lead_ids: Sequence[UUID]) -> CompoundSelect[*tuple[Any, ...]]:
    """What `traffic` asks: index ranges only, however many leads and messages the tenant has."""
    message, log, chat = ScheduledMessage, MessageLog, _CHAT_SESSIONS.c
    kin = _same_people(tenant_id, lead_ids)
    to_them = (message.tenant_id == tenant_id, message.lead_id == kin.c.other)
    sending = select(kin.c.lead, literal("sending"), message.channel, message.due_at).where(
        *to_them, message.status == MessageStatus.SENDING
    )
    sent = select(kin.c.lead, literal("sent"), message.channel, message.sent_at).where(
        *to_them, message.sent_at.between(_APP_NOW - timedelta(days=7), _APP_NOW)
    )
    wrote = (
        select(log.lead_id, literal("wrote"), log.channel, func.max(log.at))
        .where(
            log.tenant_id == tenant_id,
            log.lead_id.in_(lead_ids),
            log.direction == "INBOUND",
            log.at.between(_APP_NOW - timedelta(days=1), _APP_NOW),
        )
        .group_by(log.lead_id, log.channel)
    )
    person = select(chat.lead_id, literal("person"), chat.channel, chat.created_at).where(
        chat.tenant_id == tenant_id,
        chat.lead_id.in_(lead_ids),
        chat.state == "HUMAN",
        chat.verified,
        or_(chat.held_until.is_(None), chat.held_until > _APP_NOW),
    )
    return union_all(sending, sent, wrote, person)


def _same_people(tenant_id: UUID, lead_ids: Sequence[UUID]) -> CTE:
    """Each of the leads with every lead that shares an address with it, itself too: one person, whatever location they asked at."""
    lead, other = aliased(Lead), aliased(Lead)
    pairs = (
        select(lead.id.label("lead"), other.id.label("other"))
        .join(other, (other.tenant_id == tenant_id) & (getattr(other, address) == getattr(lead, address)))
        .where(lead.tenant_id == tenant_id, lead.id.in_(lead_ids))
        for address in ("phone", "email", "whatsapp_user_id")
    )
    return union(*pairs).cte("kin")


async def setting(session: ReadSession) -> Setting | None:
    """The tenant, its messaging settings and the product's time; None for a tenant without such settings."""
    statement = (
        select(Tenant, MessagingConfig, _APP_NOW)
        .join(MessagingConfig, MessagingConfig.tenant_id == Tenant.id)
        .where(Tenant.id == session.scope.tenant_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Setting(row[0], row[1], row[2])


async def config(session: ReadSession) -> MessagingConfig | None:
    statement = select(MessagingConfig).where(MessagingConfig.tenant_id == session.scope.tenant_id)
    return await session.scalar(statement)


async def refuse_channel(session: WriteSession, channel: Channel, reason: str | None) -> None:
    """Note that a provider refused the tenant's account, or (None) that it works again."""
    own = MessagingConfig.tenant_id == session.scope.tenant_id
    statement = update(MessagingConfig).where(own).values({f"{channel.value.lower()}_refused": reason})
    await session.execute(statement.execution_options(synchronize_session=False))


async def add_attempts(session: WriteSession, attempts: Sequence[Mapping[str, object]]) -> None:
    """Insert these rows of the ledger in one statement."""
    if attempts:
        await session.execute(insert(MessageLog), attempts)


async def attempts_since(session: ReadSession, moment: datetime, most: int) -> int:
    """How many messages were handed over or are about to be since `moment`, by real time, counted up to `most`.

    Until the transaction ends nobody else of the franchise counts.
    """
    tenant_id = session.scope.tenant_id
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"messages_per_day:{tenant_id}", 0))
    await session.execute(select(lock))
    first = UUID(int=int(moment.timestamp() * 1000) << 80)  # a uuidv7 begins with the milliseconds of its making
    counted = select(MessageLog.id).where(
        MessageLog.tenant_id == tenant_id,
        MessageLog.id >= first,
        MessageLog.direction == "OUTBOUND",
        MessageLog.status != "NOT_SENT",
    )
    return int(await session.scalar(select(func.count()).select_from(counted.limit(most).subquery())) or 0)


async def add_messages(session: WriteSession, messages: Sequence[Mapping[str, object]]) -> None:
    """Insert these messages in one statement."""
    if messages:
        await session.execute(insert(ScheduledMessage), messages)


async def lock_sending(session: WriteSession, message_ids: Sequence[UUID]) -> Sequence[Due]:
    """Those of the messages of which a result is awaited, locked with their leads; what somebody else holds is left out."""
    statement = (
        select(ScheduledMessage, Lead)
        .join(Lead, (Lead.tenant_id == ScheduledMessage.tenant_id) & (Lead.id == ScheduledMessage.lead_id))
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.id == any_(bindparam("ids", type_=ARRAY(Uuid()))),
            ScheduledMessage.status.in_([MessageStatus.SENDING, MessageStatus.UNKNOWN]),
        )
        .with_for_update(key_share=True, skip_locked=True, of=[ScheduledMessage, Lead])
    )
    return [Due(message, lead) for message, lead in await session.execute(statement, {"ids": list(message_ids)})]


async def lock_message(
    session: WriteSession, message_id: UUID, attempt: int, statuses: Sequence[MessageStatus]
) -> ScheduledMessage | None:
    """The message, locked, if it still stands where this attempt left it; its lead's lock is held already."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.id == message_id,
            ScheduledMessage.attempt == attempt,
            ScheduledMessage.status.in_(statuses),
        )
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement)


async def attempt_of(session: ReadSession, message_id: UUID, attempt: int) -> MessageLog:
    statement = select(MessageLog).where(
        MessageLog.tenant_id == session.scope.tenant_id,
        MessageLog.message_id == message_id,
        MessageLog.attempt == attempt,
    )
    return (await session.scalars(statement)).one()


async def close_attempts(session: WriteSession, closings: Sequence[Closing]) -> None:
    """Write what became of attempts, in one statement."""
    if not closings:
        return
    rows = [{"tenant": session.scope.tenant_id, **vars(closing)} for closing in closings]
    await (await session.connection()).execute(_CLOSE, rows)


async def expire_leases(session: WriteSession) -> int:
    """Messages whose sender died between intent and result become unknown, to be asked about at once.

    One whose result is just being written is left out.
    """
    own = ScheduledMessage.tenant_id == session.scope.tenant_id
    expired = (
        select(ScheduledMessage.id)
        .where(own, ScheduledMessage.status == MessageStatus.SENDING, ScheduledMessage.lease_until <= func.now())
        .with_for_update(key_share=True, skip_locked=True)
    )
    statement = (
        update(ScheduledMessage)
        .where(own, ScheduledMessage.id.in_(expired))
        .values(
            status=MessageStatus.UNKNOWN,
            lease_until=func.now(),
            decision="Unknown: its sender ended between handing it over and noting the answer",
        )
        .returning(ScheduledMessage.id)
    )
    return len(list(await session.scalars(statement.execution_options(synchronize_session=False))))


async def claim_unknown(session: WriteSession, limit: int, pause: timedelta) -> Sequence[ScheduledMessage]:
    """Take up to `limit` unknown messages whose check is due; nobody else checks them for `pause`."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.status == MessageStatus.UNKNOWN,
            ScheduledMessage.lease_until <= func.now(),
        )
        .order_by(ScheduledMessage.lease_until)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    messages = list(await session.scalars(statement))
    until = (await real_now(session)) + pause
    for message in messages:
        message.lease_until = until
    return messages


async def postpone_check(
    session: WriteSession, message_id: UUID, attempt: int, delay: timedelta | None, why: str
) -> None:
    """Ask again after `delay`; None leaves it to the provider's events or to staff."""
    statement = (
        update(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.id == message_id,
            ScheduledMessage.attempt == attempt,
            ScheduledMessage.status == MessageStatus.UNKNOWN,
        )
        .values(lease_until=None if delay is None else func.now() + delay, decision=why)
    )
    await session.execute(statement.execution_options(synchronize_session=False))


async def owned_provider_ids(session: ReadSession, provider_ids: Sequence[str]) -> set[str]:
    """Those of the provider's messages that another row of the ledger has already."""
    statement = select(MessageLog.provider_message_id).where(
        MessageLog.tenant_id == session.scope.tenant_id, MessageLog.provider_message_id.in_(provider_ids)
    )
    return {found for found in await session.scalars(statement) if found}


def add(session: WriteSession, message: ScheduledMessage) -> None:
    """Insert `message` with the session's next flush."""
    session.add(message)


async def message(session: ReadSession, message_id: UUID) -> ScheduledMessage | None:
    statement = select(ScheduledMessage).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id == message_id
    )
    return await session.scalar(statement)


async def relock_message(session: WriteSession, message_id: UUID) -> ScheduledMessage:
    """A message that was read before, locked and as it is now; its lead's lock is held already."""
    statement = (
        select(ScheduledMessage)
        .where(ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id == message_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one()


async def cancel_by_reference(session: WriteSession, lead_id: UUID, reference: str, decision: str) -> int:
    """Cancel what waits for this lead under `reference` or below it; returns how many."""
    below = ScheduledMessage.reference.startswith(f"{reference}:", autoescape=True)
    statement = (
        update(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id == lead_id,
            ScheduledMessage.status == MessageStatus.SCHEDULED,
            or_(ScheduledMessage.reference == reference, below),
        )
        .values(status=MessageStatus.CANCELLED, decision=decision)
        .returning(ScheduledMessage.id)
    )
    await session.flush()
    return len(list(await session.scalars(statement)))
