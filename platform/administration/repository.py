"""All SQL of administration that is not about a single feature's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.ingestion.models import EventSource, WebhookEvent
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.templates.models import MessageTemplate
from lead_orchestrator.tenancy.models import CrmConfig, Location, LocationHours, MessagingConfig, Tenant
from lead_orchestrator.tenancy.sessions import PlatformSession, ReadSession, WriteSession
from lead_orchestrator.touches.models import TouchTemplate

__all__ = [
    "Progress",
    "ReadinessFacts",
    "SealedRow",
    "add_texts",
    "change_tenant",
    "crm_key",
    "finish_onboarding",
    "locations",
    "lock_tenant",
    "progress",
    "readiness_facts",
    "seal_administrator_again",
    "seal_again",
    "sealed_administrators",
    "sealed_rows",
    "take_step",
    "tenant",
    "tenant_texts",
]


async def tenant(session: PlatformSession, tenant_id: UUID) -> Tenant | None:
    return await session.scalar(select(Tenant).where(Tenant.id == tenant_id))


async def locations(session: ReadSession) -> Sequence[Location]:
    return list(await session.scalars(select(Location).where(Location.tenant_id == session.scope.tenant_id)))


async def crm_key(session: PlatformSession, tenant_id: UUID) -> bytes | None:
    """The sealed key of the tenant's ShopMonkey account."""
    return await session.scalar(select(CrmConfig.api_key).where(CrmConfig.tenant_id == tenant_id))


async def take_step(session: WriteSession, name: str) -> bool:
    """Write down that this step of the onboarding is done; False if it was. Whoever is second waits for the first's commit."""
    statement = text(
        "UPDATE onboardings SET steps = steps || cast(:name AS text)"
        " WHERE tenant_id = :tenant AND NOT cast(:name AS text) = ANY (steps) RETURNING true"
    )
    return await session.scalar(statement, {"tenant": session.scope.tenant_id, "name": name}) is not None


@dataclass(frozen=True)
class Progress:
    """Which steps of an onboarding are done, and whether it ended once."""

    steps: frozenset[str]
    finished: bool


async def progress(session: ReadSession) -> Progress:
    statement = text("SELECT steps, finished_at IS NOT NULL AS finished FROM onboardings WHERE tenant_id = :tenant")
    row = (await session.execute(statement, {"tenant": session.scope.tenant_id})).one()
    return Progress(frozenset(row.steps), row.finished)


async def finish_onboarding(session: WriteSession) -> None:
    statement = text("UPDATE onboardings SET finished_at = now() WHERE tenant_id = :tenant AND finished_at IS NULL")
    await session.execute(statement, {"tenant": session.scope.tenant_id})


Texts = tuple[Sequence[Mapping[str, object]], Sequence[Mapping[str, object]]]
_TOUCH = ("number", "day", "channel", "subject", "body", "whatsapp_template")
_TEXT = ("kind", "variant", "channel", "subject", "body")


async def tenant_texts(session: ReadSession) -> Texts:
    """The touches and the templates in force that hold for the whole of the session's tenant."""
    own = TouchTemplate.tenant_id == session.scope.tenant_id, TouchTemplate.location_id.is_(None)
    touches = await session.execute(select(*(getattr(TouchTemplate, name) for name in _TOUCH)).where(*own))
    template = MessageTemplate
    newest = (
        select(*(getattr(template, name) for name in _TEXT))
        .where(template.tenant_id == session.scope.tenant_id, template.location_id.is_(None))
        .ext(distinct_on(template.kind, template.variant, template.channel))
        .order_by(template.kind, template.variant, template.channel, template.version.desc())
    )
    texts = await session.execute(newest)
    return [dict(row) for row in touches.mappings()], [dict(row) for row in texts.mappings()]


async def add_texts(session: WriteSession, texts: Texts) -> None:
    """Write another tenant's touches and templates as this one's, each the first version of its own."""
    touches, templates = texts
    tenant_id = session.scope.tenant_id
    if touches:
        await session.execute(insert(TouchTemplate), [{"tenant_id": tenant_id, **row} for row in touches])
    if templates:
        made = {"tenant_id": tenant_id, "version": 1, "created_at": await app_now(session)}
        await session.execute(insert(MessageTemplate), [{**made, **row} for row in templates])


@dataclass(frozen=True)
class SealedRow:
    """A row's sealed columns that are not empty, by their names; `place` finds the row."""

    place: str
    secrets: Mapping[str, bytes]


async def sealed_rows(session: WriteSession, table: str, columns: Sequence[str]) -> Sequence[SealedRow]:
    """The tenant's rows of `table`; nobody changes them until the transaction ends. Names come from the product alone."""
    statement = text(
        f"SELECT ctid::text AS place, {', '.join(columns)} FROM {table} WHERE tenant_id = :tenant FOR NO KEY UPDATE"  # noqa: S608 - names of the product
    )
    rows = (await session.execute(statement, {"tenant": session.scope.tenant_id})).mappings()
    return [SealedRow(row["place"], {name: row[name] for name in columns if row[name] is not None}) for row in rows]


async def seal_again(session: WriteSession, table: str, row: SealedRow, again: Mapping[str, bytes]) -> None:
    """Write the secrets of a row that this transaction has locked."""
    written = ", ".join(f"{name} = :{name}" for name in again)
    found = "tenant_id = :tenant AND ctid = cast(cast(:place AS text) AS tid)"
    statement = text(f"UPDATE {table} SET {written} WHERE {found}")  # noqa: S608 - names of the product
    await session.execute(statement, {**again, "tenant": session.scope.tenant_id, "place": row.place})


async def sealed_administrators(session: PlatformSession) -> Sequence[SealedRow]:
    """As `sealed_rows`, of the platform's administrators; `place` is the id."""
    held = "SELECT id::text AS place, totp_secret FROM platform_users WHERE totp_secret IS NOT NULL FOR UPDATE"
    rows = await session.execute(text(held))
    return [SealedRow(row.place, {"totp_secret": row.totp_secret}) for row in rows]


async def seal_administrator_again(session: PlatformSession, row: SealedRow, again: Mapping[str, bytes]) -> None:
    """As `seal_again`."""
    statement = text(
        "UPDATE platform_users SET totp_secret = :totp_secret WHERE id = cast(cast(:place AS text) AS uuid)"
    )
    await session.execute(statement, {**again, "place": row.place})


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
