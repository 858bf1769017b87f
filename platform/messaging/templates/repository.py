"""All SQL about the templates of messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.dialects.postgresql import distinct_on

from lead_orchestrator.leads.models import Channel, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.messaging.templates.models import MessageTemplate, TemplateVariant
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["add", "lock_templates", "made_since", "newest", "newest_version"]


def add(session: WriteSession, template: MessageTemplate) -> None:
    """Insert `template` with the session's next flush."""
    session.add(template)


async def lock_templates(session: WriteSession) -> None:
    """Until the transaction ends nobody else changes the tenant's templates."""
    key = f"message_templates:{session.scope.tenant_id}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def newest(
    session: ReadSession, location_id: UUID | None, kinds: Sequence[MessageKind]
) -> Sequence[MessageTemplate]:
    """The templates of these kinds that are in force at a location, one for each variant and channel: its own, else the
    tenant's."""
    row = MessageTemplate
    statement = (
        select(row)
        .where(
            row.tenant_id == session.scope.tenant_id,
            row.kind.in_(kinds),
            or_(row.location_id.is_(None), row.location_id == location_id),
        )
        .ext(distinct_on(row.kind, row.variant, row.channel))
        .order_by(row.kind, row.variant, row.channel, row.location_id.asc().nulls_last(), row.version.desc())
    )
    return list(await session.scalars(statement))


async def newest_version(
    session: ReadSession, location_id: UUID | None, kind: MessageKind, variant: TemplateVariant, channel: Channel
) -> int:
    """The highest version of the location's own template, or (None) of the tenant's; 0 while there is none."""
    place = MessageTemplate.location_id
    statement = select(func.max(MessageTemplate.version)).where(
        MessageTemplate.tenant_id == session.scope.tenant_id,
        MessageTemplate.kind == kind,
        MessageTemplate.variant == variant,
        MessageTemplate.channel == channel,
        place.is_(None) if location_id is None else place == location_id,
    )
    return int(await session.scalar(statement) or 0)


async def made_since(session: ReadSession, lead_id: UUID, kind: MessageKind, since: datetime) -> UUID | None:
    """The newest message of this kind that the lead was or will be sent, if it was written after `since`."""
    statement = (
        select(ScheduledMessage.id)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id == lead_id,
            ScheduledMessage.kind == kind,
            ScheduledMessage.status != MessageStatus.CANCELLED,
            ScheduledMessage.created_at > since,
        )
        .order_by(ScheduledMessage.created_at.desc())
        .limit(1)
    )
    return await session.scalar(statement)
