"""What a decision rests on, beside the message and its lead: read for a whole batch, in one statement for each subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    CompoundSelect,
    LargeBinary,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    literal,
    or_,
    select,
    table,
    union,
    union_all,
)
from sqlalchemy.orm import aliased

from lead_orchestrator.leads.models import Channel, Lead, MessageStatus, OptOut, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import MessagingConfig, Moment, Tenant
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["TRAFFIC", "Setting", "Traffic", "opted_out_addresses", "setting", "traffic"]

_APP_NOW = func.app_now()
_TENANT = bindparam("tenant", type_=Uuid())
_LEADS = any_(bindparam("leads", type_=ARRAY(Uuid())))
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
class Setting:
    """A tenant with its messaging settings, at the product's time; `real_now` is the database's clock at that instant."""

    tenant: Tenant
    config: MessagingConfig
    now: datetime
    real_now: datetime


@dataclass(frozen=True)
class Traffic:
    """By lead: whose person a message is just being sent; whose conversation somebody of staff has; when the person was written
    to within a week, as this lead or as another with an address of it; when they last wrote on each channel within a day."""

    sending: set[UUID]
    with_person: set[UUID]
    sent: dict[UUID, list[datetime]]
    wrote_at: dict[UUID, dict[Channel, datetime]]


def _same_people() -> CTE:
    """Each of the leads with every lead that shares an address with it, itself too: one person, whatever location they asked at."""
    lead, other = aliased(Lead), aliased(Lead)
    pairs = (
        select(lead.id.label("lead"), other.id.label("other"))
        .join(other, (other.tenant_id == _TENANT) & (getattr(other, address) == getattr(lead, address)))
        .where(lead.tenant_id == _TENANT, lead.id == _LEADS)
        for address in ("phone", "email", "whatsapp_user_id")
    )
    return union(*pairs).cte("kin")


def _traffic() -> CompoundSelect[*tuple[Any, ...]]:
    message, log, chat = ScheduledMessage, MessageLog, _CHAT_SESSIONS.c
    kin = _same_people()
    to_them = (message.tenant_id == _TENANT, message.lead_id == kin.c.other)
    sending = select(kin.c.lead, literal("sending"), message.channel, message.due_at).where(
        *to_them, message.status == MessageStatus.SENDING
    )
    sent = select(kin.c.lead, literal("sent"), message.channel, message.sent_at).where(
        *to_them, message.sent_at.between(_APP_NOW - timedelta(days=7), _APP_NOW)
    )
    wrote = (
        select(log.lead_id, literal("wrote"), log.channel, func.max(log.at))
        .where(
            log.tenant_id == _TENANT,
            log.lead_id == _LEADS,
            log.direction == "INBOUND",
            log.at.between(_APP_NOW - timedelta(days=1), _APP_NOW),
        )
        .group_by(log.lead_id, log.channel)
    )
    person = select(chat.lead_id, literal("person"), chat.channel, chat.created_at).where(
        chat.tenant_id == _TENANT,
        chat.lead_id == _LEADS,
        chat.state == "HUMAN",
        chat.verified,
        or_(chat.held_until.is_(None), chat.held_until > _APP_NOW),
    )
    return union_all(sending, sent, wrote, person)


# Written once: building such a statement costs more than running it.
TRAFFIC = _traffic()
"""What `traffic` asks: index ranges only, however many leads and messages the tenant has. It binds `tenant` and `leads`."""
_SETTING = (
    select(Tenant, MessagingConfig, _APP_NOW, func.clock_timestamp())
    .join(MessagingConfig, MessagingConfig.tenant_id == Tenant.id)
    .where(Tenant.id == _TENANT)
)
_OPTED_OUT = select(OptOut.channel, OptOut.address_hash).where(
    OptOut.tenant_id == _TENANT, OptOut.address_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary())))
)


async def setting(session: ReadSession) -> Setting | None:
    """None for a tenant without messaging settings."""
    row = (await session.execute(_SETTING, {"tenant": session.scope.tenant_id})).one_or_none()
    return None if row is None else Setting(*row)


async def traffic(session: ReadSession, lead_ids: Sequence[UUID]) -> Traffic:
    """What happened lately between us and these leads; read after their lock was taken."""
    found = Traffic(set(), set(), {}, {})
    values = {"tenant": session.scope.tenant_id, "leads": list(lead_ids)}
    for lead_id, what, channel, at in await session.execute(TRAFFIC, values):
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


async def opted_out_addresses(session: ReadSession, hashes: Sequence[bytes]) -> set[tuple[str, bytes]]:
    """Channel and hash of those addresses that must not be written to."""
    values = {"tenant": session.scope.tenant_id, "hashes": list(hashes)}
    return {(channel, value) for channel, value in await session.execute(_OPTED_OUT, values)}
