"""All SQL about the templates of messages."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, or_, select, text

from lead_orchestrator.leads.models import Channel, MessageKind
from lead_orchestrator.messaging.templates.models import MessageTemplate, TemplateVariant
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["add", "lock_templates", "newest", "newest_version"]


def add(session: WriteSession, template: MessageTemplate) -> None:
    """Insert `template` with the session's next flush."""
    session.add(template)


async def lock_templates(session: WriteSession) -> None:
    """Until the transaction ends nobody else changes the tenant's templates."""
    key = f"message_templates:{session.scope.tenant_id}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def newest(
    session: ReadSession, location_id: UUID | None, kind: MessageKind, variant: TemplateVariant, channel: Channel
) -> MessageTemplate | None:
    """The template in force at a location: its own, else the tenant's."""
    statement = (
        select(MessageTemplate)
        .where(
            MessageTemplate.tenant_id == session.scope.tenant_id,
            MessageTemplate.kind == kind,
            MessageTemplate.variant == variant,
            MessageTemplate.channel == channel,
            or_(MessageTemplate.location_id.is_(None), MessageTemplate.location_id == location_id),
        )
        .order_by(MessageTemplate.location_id.asc().nulls_last(), MessageTemplate.version.desc())
        .limit(1)
    )
    return await session.scalar(statement)


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
