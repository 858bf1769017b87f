"""All SQL of administration that is not about a single feature's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select, update

from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.leads.ingestion.models import EventSource, WebhookEvent
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import CrmConfig, Location, LocationHours, MessagingConfig, Tenant
from lead_orchestrator.tenancy.sessions import PlatformSession, ReadSession

__all__ = ["ReadinessFacts", "change_tenant", "lock_tenant", "readiness_facts"]


async def lock_tenant(session: PlatformSession, tenant_id: UUID) -> Tenant | None:
    """The tenant; until the transaction ends nobody else changes it."""
    statement = select(Tenant).where(Tenant.id == tenant_id).with_for_update(key_share=True)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def change_tenant(session: PlatformSession, tenant: Tenant, values: Mapping[str, object]) -> None:
    """Write `values`, and read the row as it is then."""
    await session.execute(update(Tenant).where(Tenant.id == tenant.id).values(**values))
    await session.refresh(tenant)


@dataclass(frozen=True)
class ReadinessFacts:
    """What is there of what a franchise needs before it goes live; the refusals are the providers' own words."""

    crm_key: bool
    webhook_secret: bool
    webhook_received: bool
    sms_account: bool
    sms_checked: bool
    sms_refused: str | None
    text_sent: bool
    mail_account: bool
    mail_checked: bool
    mail_refused: str | None
    locations: int
    claimed: int
    open: int
    with_services: int
    with_calendar: int


async def readiness_facts(session: ReadSession) -> ReadinessFacts:
    """What this session sees of it: a limited caller's locations only."""
    tenant = session.scope.tenant_id
    crm, config = CrmConfig.tenant_id == tenant, MessagingConfig.tenant_id == tenant
    number = or_(
        MessagingConfig.twilio_phone_number.is_not(None), MessagingConfig.twilio_messaging_service_sid.is_not(None)
    )
    sms = and_(MessagingConfig.twilio_account_sid.is_not(None), MessagingConfig.twilio_auth_token.is_not(None), number)
    mail = and_(MessagingConfig.sendgrid_api_key.is_not(None), MessagingConfig.sendgrid_from_email.is_not(None))
    echo = and_(WebhookEvent.tenant_id == tenant, WebhookEvent.source == EventSource.WEBHOOK)
    text_sent = and_(
        MessageLog.tenant_id == tenant,
        MessageLog.direction == "OUTBOUND",
        MessageLog.channel == "SMS",
        MessageLog.provider_message_id.is_not(None),
    )
    here = and_(LocationHours.tenant_id == Location.tenant_id, LocationHours.location_id == Location.id)
    sold = and_(
        Service.tenant_id == Location.tenant_id,
        or_(Service.location_id == Location.id, Service.location_id.is_(None)),
        Service.active,
    )
    calendar = and_(
        GoogleCredential.tenant_id == Location.tenant_id,
        GoogleCredential.location_id == Location.id,
        GoogleCredential.status == "CONNECTED",
    )
    statement = select(
        exists().where(crm, CrmConfig.api_key.is_not(None)),
        exists().where(crm, CrmConfig.webhook_secret.is_not(None)),
        exists().where(echo),
        exists().where(config, sms),
        exists().where(config, MessagingConfig.sms_checked_at.is_not(None)),
        select(MessagingConfig.sms_refused).where(config).scalar_subquery(),
        exists().where(text_sent),
        exists().where(config, mail),
        exists().where(config, MessagingConfig.email_checked_at.is_not(None)),
        select(MessagingConfig.email_refused).where(config).scalar_subquery(),
        func.count(),
        func.count().filter(Location.shopmonkey_location_id.is_not(None)),
        func.count().filter(exists().where(here)),
        func.count().filter(exists().where(sold)),
        func.count().filter(exists().where(calendar)),
    ).where(Location.tenant_id == tenant)
    return ReadinessFacts(*(await session.execute(statement)).one())
