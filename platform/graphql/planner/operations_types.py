"""The lists of operations in SQL: every message, webhooks, jobs, the audit trail and the users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal_column, select

from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.operations.people import USER_ORDER
from lead_orchestrator.graphql.operations.queries import checked_job
from lead_orchestrator.graphql.operations.types import EVENT_ORDER, JOB_ORDER
from lead_orchestrator.graphql.planner import assistant_types
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Connection,
    Entity,
    Inside,
    Leaf,
    Paging,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import (
    beyond,
    columns,
    encoded_cursor,
    identity,
    page_values,
    table,
    typed_id,
)
from lead_orchestrator.graphql.planner.pages import latest_first
from lead_orchestrator.ids import Kind
from lead_orchestrator.jobs.models import JobExecution
from lead_orchestrator.leads.ingestion.models import WebhookEvent
from lead_orchestrator.leads.models import Lead, ScheduledMessage
from lead_orchestrator.tenancy.permissions import FOUND
from lead_orchestrator.tenancy.records import AuditLine
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]

_EVENTS = latest_first(
    EVENT_ORDER,
    "received_at",
    Kind.WEBHOOK_EVENT,
    {"status": lambda row, bind: row.c.status == bind("status")},
    lambda arguments: SimpleNamespace(status=arguments.get("status")),
)
_JOBS = latest_first(
    JOB_ORDER,
    "started_at",
    Kind.JOB_EXECUTION,
    {"job": lambda row, bind: row.c.job == bind("job")},
    lambda arguments: SimpleNamespace(job=checked_job(arguments.get("job"))),
)


def _read_audit(arguments: Mapping[str, Any]) -> Arguments:
    first = cursors.checked_first(arguments.get("first"))
    before = cursors.position_of(arguments.get("after"), Kind.AUDIT_ENTRY.value)
    values = {"first": first, "limit": first + 1, **({"before": before} if before is not None else {})}
    return Arguments(before is not None, values)


_AUDIT = Paging(
    read=_read_audit,
    order=lambda row, _shape: (row.c.number.desc(),),
    cursor=lambda row, _shape: literal_column(f"'{Kind.AUDIT_ENTRY.value}_'", Text) + cast(row.c.number, Text),
    after=lambda row, shape, bind: row.c.number < bind("before") if shape else None,
    starts_after=bool,
)


def _read_users(arguments: Mapping[str, Any]) -> Arguments:
    page = cursors.page(arguments.get("first"), arguments.get("after"), USER_ORDER, (Kind.USER,), moments=False)
    return Arguments(page.after is not None, page_values(page))


def _email_order(row: Row, _follows: bool) -> Sequence[Any]:
    return row.c.email, row.c.id


_USERS = Paging(
    read=_read_users,
    order=_email_order,
    cursor=lambda row, _shape: encoded_cursor(
        USER_ORDER, cast(func.to_json(row.c.email), Text), typed_id(Kind.USER, row)
    ),
    after=lambda row, shape, bind: beyond(row.c.email, row.c.id, bind, descending=False) if shape else None,
    starts_after=bool,
)

_NODE = frozenset({"Node"})


def _to_those_who_find(kind: Kind) -> Callable[[Row, Row], ColumnElement[bool]]:
    roles: list[ColumnElement[str]] = [literal_column(f"'{role.value}'") for role in Role if role in FOUND[kind]]
    return lambda _row, scope: scope.c.role.in_(roles)


WEBHOOK_EVENT = Entity(
    "WebhookEvent",
    lambda: table(WebhookEvent),
    {
        "id": identity(Kind.WEBHOOK_EVENT),
        **columns("source", "external_id", "external_location_id", "status", "received_at", "processed_at"),
        **columns("outcome", "error", "attempts"),
    },
    location="location_id",
    interfaces=_NODE,
    visible=_to_those_who_find(Kind.WEBHOOK_EVENT),
)

JOB_EXECUTION = Entity(
    "JobExecution",
    lambda: table(JobExecution),
    {
        "id": identity(Kind.JOB_EXECUTION),
        **columns("job", "started_at", "finished_at", "status", "processed", "error"),
    },
    interfaces=_NODE,
    visible=_to_those_who_find(Kind.JOB_EXECUTION),
)

AUDIT_ENTRY = Entity(
    "AuditEntry",
    lambda: table(AuditLine),
    {"id": identity(Kind.AUDIT_ENTRY), **columns("at", "actor", "action", "target", "source", "detail")},
    interfaces=_NODE,
    visible=_to_those_who_find(Kind.AUDIT_ENTRY),
)


def _leads(tenant: Row) -> Any:
    lead = table(Lead).alias()
    mine = select(func.count()).select_from(lead).where(lead.c.tenant_id == tenant.c.tenant_id)
    return mine.correlate(tenant).scalar_subquery()


def _sent_this_month(tenant: Row) -> Any:
    sent = table(ScheduledMessage).alias()
    begins = func.date_trunc(literal_column("'month'"), func.app_now(), literal_column("'UTC'"))
    mine = (
        select(func.count()).select_from(sent).where(sent.c.tenant_id == tenant.c.tenant_id, sent.c.sent_at >= begins)
    )
    return mine.correlate(tenant).scalar_subquery()


_USAGE = Inside(
    "TenantUsage",
    {
        "leads": Leaf(_leads),
        "messagesThisMonth": Leaf(_sent_this_month),
        **assistant_types.USAGE,
    },
)

_LIMITS = Inside(
    "TenantLimits",
    columns(
        "assistant_token_budget",
        "requests_per_minute",
        "messages_per_day",
        "webhook_retention_days",
        "conversation_retention_days",
    ),
)

MORE_FIELDS = {"Tenant": {"usage": _USAGE, "limits": _LIMITS}}
TARGETS = {
    Kind.WEBHOOK_EVENT.value: Target("WebhookEvent"),
    Kind.JOB_EXECUTION.value: Target("JobExecution"),
    Kind.AUDIT_ENTRY.value: Target("AuditEntry"),
    Kind.UNROUTED_WEBHOOK.value: Target(
        "WebhookEvent", lambda _row: literal_column("false")
    ),  # is nobody's of a franchise
}
ENTITIES = {entity.name: entity for entity in (WEBHOOK_EVENT, JOB_EXECUTION, AUDIT_ENTRY)}

ROOTS: dict[str, Root] = {
    "webhookEvents": Root(connection=Connection("WebhookEvent", _EVENTS), read=_EVENTS.read),
    "jobExecutions": Root(connection=Connection("JobExecution", _JOBS), read=_JOBS.read),
    "auditLog": Root(connection=Connection("AuditEntry", _AUDIT), read=_AUDIT.read),
    "users": Root(connection=Connection("User", _USERS), read=_USERS.read),
}
