"""All SQL of the lists of operations. Postgres's policies narrow every statement to what the caller may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Select, and_, case, cast, func, literal, or_, select

from lead_orchestrator.chat.assistant.models import (
    LEAD_TOKENS_A_DAY,
    TOKENS_A_MONTH,
    AssistantConfig,
    AssistantDay,
    AssistantMonth,
)
from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.graphql.cursors import Page
from lead_orchestrator.jobs.models import JobExecution
from lead_orchestrator.keyset import After, cut
from lead_orchestrator.leads.ingestion.models import WebhookEvent
from lead_orchestrator.leads.models import Lead, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import Tenant, UnroutedWebhook, User
from lead_orchestrator.tenancy.records import AuditLine, LoginSession, PlatformUser
from lead_orchestrator.tenancy.sessions import PlatformSession, ReadSession

__all__ = [
    "INBOUND",
    "RECEIVED",
    "MessageQuery",
    "Usage",
    "audit_line",
    "audit_lines",
    "count_audit_lines",
    "count_job_executions",
    "count_messages",
    "count_tenants",
    "count_unrouted",
    "count_users",
    "count_webhook_events",
    "inbound_page",
    "job_execution",
    "job_executions",
    "login_sessions",
    "platform_user",
    "sent_page",
    "tenant_by_id",
    "tenants_page",
    "unrouted_by_id",
    "unrouted_page",
    "usage",
    "users_page",
    "webhook_event",
    "webhook_events",
]

INBOUND, RECEIVED = "INBOUND", "RECEIVED"


@dataclass(frozen=True)
class MessageQuery:
    """Which messages; None does not narrow, an empty list is none. `begins` is included, `ends` is not."""

    status: Sequence[str] | None = None
    kind: Sequence[str] | None = None
    channel: Sequence[str] | None = None
    lead_id: UUID | None = None
    location_ids: Sequence[UUID] | None = None
    begins: datetime | None = None
    ends: datetime | None = None


async def sent_page(session: ReadSession, query: MessageQuery, page: Page) -> Sequence[ScheduledMessage]:
    """What was and is to be sent, the newest first; one row more than the page has, if there is one."""
    statement = select(ScheduledMessage).where(*_sent_terms(session, query))
    return await _page(session, statement, ScheduledMessage.created_at, ScheduledMessage.id, page)


async def inbound_page(session: ReadSession, query: MessageQuery, page: Page) -> Sequence[MessageLog]:
    """What came in, the newest first; one row more than the page has, if there is one."""
    statement = select(MessageLog).where(*_inbound_terms(session, query))
    return await _page(session, statement, MessageLog.at, MessageLog.id, page)


async def count_messages(session: ReadSession, query: MessageQuery) -> int:
    sent = select(func.count()).select_from(ScheduledMessage).where(*_sent_terms(session, query)).scalar_subquery()
    got = select(func.count()).select_from(MessageLog).where(*_inbound_terms(session, query)).scalar_subquery()
    return int(await session.scalar(select(sent + got)) or 0)


async def webhook_events(session: ReadSession, status: str | None, page: Page) -> Sequence[WebhookEvent]:
    statement = select(WebhookEvent).where(*_event_terms(session, status))
    return await _page(session, statement, WebhookEvent.received_at, WebhookEvent.id, page)


async def count_webhook_events(session: ReadSession, status: str | None) -> int:
    return await _count(session, WebhookEvent, _event_terms(session, status))


async def webhook_event(session: ReadSession, key: UUID) -> WebhookEvent | None:
    own = select(WebhookEvent).where(WebhookEvent.tenant_id == session.scope.tenant_id, WebhookEvent.id == key)
    return await session.scalar(own)


async def job_executions(session: ReadSession, job: str | None, page: Page) -> Sequence[JobExecution]:
    statement = select(JobExecution).where(*_job_terms(session, job))
    return await _page(session, statement, JobExecution.started_at, JobExecution.id, page)


async def count_job_executions(session: ReadSession, job: str | None) -> int:
    return await _count(session, JobExecution, _job_terms(session, job))


async def job_execution(session: ReadSession, key: UUID) -> JobExecution | None:
    own = select(JobExecution).where(JobExecution.tenant_id == session.scope.tenant_id, JobExecution.id == key)
    return await session.scalar(own)


async def audit_lines(session: ReadSession, first: int, before: int | None) -> Sequence[AuditLine]:
    """The newest lines older than number `before`, up to one more than `first`."""
    statement = select(AuditLine).where(AuditLine.tenant_id == session.scope.tenant_id)
    if before is not None:
        statement = statement.where(AuditLine.number < before)
    return list(await session.scalars(statement.order_by(AuditLine.number.desc()).limit(first + 1)))


async def count_audit_lines(session: ReadSession) -> int:
    return await _count(session, AuditLine, [AuditLine.tenant_id == session.scope.tenant_id])


async def audit_line(session: ReadSession, key: UUID) -> AuditLine | None:
    own = select(AuditLine).where(AuditLine.tenant_id == session.scope.tenant_id, AuditLine.id == key)
    return await session.scalar(own)


async def users_page(session: ReadSession, page: Page) -> Sequence[User]:
    """By e-mail address; one row more than the page has, if there is one."""
    statement = select(User).where(User.tenant_id == session.scope.tenant_id)
    return await _page(session, statement, User.email, User.id, page, descending=False)


async def count_users(session: ReadSession) -> int:
    return await _count(session, User, [User.tenant_id == session.scope.tenant_id])


async def login_sessions(session: ReadSession, user_id: UUID, limit: int) -> Sequence[LoginSession]:
    """Where this user is signed in now, the last seen first."""
    statement = select(LoginSession).where(
        LoginSession.tenant_id == session.scope.tenant_id,
        LoginSession.user_id == user_id,
        LoginSession.revoked_at.is_(None),
        LoginSession.expires_at > func.now(),
    )
    ordered = statement.order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc()).limit(limit)
    return list(await session.scalars(ordered))


@dataclass(frozen=True)
class Usage:
    leads: int
    messages_this_month: int
    assistant_tokens_this_month: int
    assistant_token_budget: int
    lead_token_budget: int
    lead_tokens_today: int
    leads_used_up_today: int


async def usage(session: ReadSession) -> Usage:
    """Of what this session sees; month and day are the calendar's in UTC, by the product's clock, and count what was sent."""
    tenant = session.scope.tenant_id
    leads = select(func.count()).select_from(Lead).where(Lead.tenant_id == tenant).scalar_subquery()
    sent = select(func.count()).select_from(ScheduledMessage).where(*_sent_this_month(tenant)).scalar_subquery()
    spent = select(AssistantMonth.tokens).where(*_this_month_of_assistant(tenant)).scalar_subquery()
    budget = select(func.coalesce(Tenant.assistant_token_budget, TOKENS_A_MONTH)).where(Tenant.id == tenant)
    a_day = select(AssistantConfig.lead_tokens_a_day).where(AssistantConfig.tenant_id == tenant).scalar_subquery()
    columns = (
        leads,
        sent,
        func.coalesce(spent, 0),
        budget.scalar_subquery(),
        func.coalesce(a_day, LEAD_TOKENS_A_DAY),
    )
    counted = (await session.execute(select(*columns))).one()
    today = list(await session.scalars(_used_by_each_today(tenant)))
    used_up = sum(tokens >= counted[-1] for tokens in today)
    return Usage(*counted, lead_tokens_today=int(max(today, default=0)), leads_used_up_today=used_up)


def _used_by_each_today(tenant: UUID) -> Select[int]:
    """By each customer; who has not proved to be a lead is one in each conversation."""
    customer = case((ChatSession.verified, func.coalesce(ChatSession.lead_id, ChatSession.id)), else_=ChatSession.id)
    return (
        select(func.sum(AssistantDay.tokens))
        .join(
            ChatSession,
            and_(ChatSession.tenant_id == AssistantDay.tenant_id, ChatSession.id == AssistantDay.session_id),
        )
        .where(AssistantDay.tenant_id == tenant, AssistantDay.day == cast(func.timezone("UTC", func.app_now()), Date))
        .group_by(customer)
    )


def _this_month_of_assistant(tenant: UUID) -> Iterable[ColumnElement[bool]]:
    yield AssistantMonth.tenant_id == tenant
    yield AssistantMonth.month == cast(func.date_trunc("month", func.timezone("UTC", func.app_now())), Date)


def _sent_this_month(tenant: UUID) -> Iterable[ColumnElement[bool]]:
    yield ScheduledMessage.tenant_id == tenant
    yield ScheduledMessage.sent_at >= func.date_trunc("month", func.app_now(), "UTC")


async def tenants_page(session: PlatformSession, search: str | None, page: Page) -> Sequence[Tenant]:
    """By slug; one row more than the page has, if there is one."""
    statement = select(Tenant).where(*_tenant_terms(search))
    return await _page(session, statement, Tenant.slug, Tenant.id, page, descending=False)


async def count_tenants(session: PlatformSession, search: str | None) -> int:
    return await _count(session, Tenant, _tenant_terms(search))


async def tenant_by_id(session: PlatformSession, key: UUID) -> Tenant | None:
    return await session.scalar(select(Tenant).where(Tenant.id == key))


async def unrouted_page(session: PlatformSession, page: Page) -> Sequence[UnroutedWebhook]:
    """What still waits for a franchise, the newest first; one row more than the page has, if there is one."""
    statement = select(UnroutedWebhook).where(UnroutedWebhook.replayed_at.is_(None))
    return await _page(session, statement, UnroutedWebhook.received_at, UnroutedWebhook.id, page)


async def count_unrouted(session: PlatformSession) -> int:
    return await _count(session, UnroutedWebhook, [UnroutedWebhook.replayed_at.is_(None)])


async def unrouted_by_id(session: PlatformSession, key: UUID) -> UnroutedWebhook | None:
    return await session.scalar(select(UnroutedWebhook).where(UnroutedWebhook.id == key))


async def platform_user(session: PlatformSession, key: UUID) -> PlatformUser | None:
    return await session.scalar(select(PlatformUser).where(PlatformUser.id == key))


def _sent_terms(session: ReadSession, query: MessageQuery) -> Iterable[ColumnElement[bool]]:
    row = ScheduledMessage
    yield row.tenant_id == session.scope.tenant_id
    if query.status is not None:
        yield row.status.in_([status for status in query.status if status in set(MessageStatus)])
    if query.kind is not None:
        yield row.kind.in_([kind for kind in query.kind if kind in set(MessageKind)])
    yield from _shared_terms(row, query, row.created_at)


def _inbound_terms(session: ReadSession, query: MessageQuery) -> Iterable[ColumnElement[bool]]:
    row = MessageLog
    yield row.tenant_id == session.scope.tenant_id
    yield row.message_id.is_(None)
    if query.status is not None and RECEIVED not in query.status:
        yield literal(False)
    if query.kind is not None and INBOUND not in query.kind:
        yield literal(False)
    yield from _shared_terms(row, query, row.at)


def _shared_terms(row: Any, query: MessageQuery, at: Any) -> Iterable[ColumnElement[bool]]:
    if query.channel is not None:
        yield row.channel.in_(query.channel)
    if query.lead_id is not None:
        yield row.lead_id == query.lead_id
    if query.location_ids is not None:
        yield row.location_id.in_(query.location_ids)
    if query.begins is not None:
        yield at >= query.begins
    if query.ends is not None:
        yield at < query.ends


def _event_terms(session: ReadSession, status: str | None) -> Iterable[ColumnElement[bool]]:
    yield WebhookEvent.tenant_id == session.scope.tenant_id
    if status is not None:
        yield WebhookEvent.status == status


def _job_terms(session: ReadSession, job: str | None) -> Iterable[ColumnElement[bool]]:
    yield JobExecution.tenant_id == session.scope.tenant_id
    if job is not None:
        yield JobExecution.job == job


def _tenant_terms(search: str | None) -> Iterable[ColumnElement[bool]]:
    words = (search or "").strip()
    if words:
        yield or_(Tenant.name.icontains(words, autoescape=True), Tenant.slug.icontains(words, autoescape=True))


async def _page(
    session: ReadSession | PlatformSession,
    statement: Select[Any],
    by: Any,
    identity: Any,
    page: Page,
    *,
    descending: bool = True,
) -> list[Any]:
    after: After = (page.after.value, page.after.id) if page.after else None
    part = cut(by, identity, after, page.first + 1, descending=descending)
    return list(await session.scalars(part.of(statement)))


async def _count(session: ReadSession | PlatformSession, model: Any, terms: Iterable[ColumnElement[bool]]) -> int:
    return int(await session.scalar(select(func.count()).select_from(model).where(*terms)) or 0)
