"""What came in by webhook, what the worker did and who changed what."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Self

import strawberry

from lead_orchestrator.graphql.connections import Connection, Node, UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.jobs import models as jobs
from lead_orchestrator.leads.ingestion import models as ingestion
from lead_orchestrator.tenancy.models import UnroutedWebhook
from lead_orchestrator.tenancy.records import AuditLine

__all__ = [
    "EVENT_ORDER",
    "JOB_ORDER",
    "UNROUTED_ORDER",
    "AuditEntry",
    "AuditEntryConnection",
    "JobExecution",
    "JobExecutionConnection",
    "WebhookEvent",
    "WebhookEventConnection",
    "WebhookEventPayload",
    "WebhookEventStatus",
    "audit_cursor",
]

EVENT_ORDER = "webhook_event.received_at"
JOB_ORDER = "job_execution.started_at"
UNROUTED_ORDER = "unrouted_webhook.received_at"


@strawberry.enum
class WebhookEventStatus(StrEnum):
    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"
    UNROUTED = "UNROUTED"


@strawberry.type
class WebhookEvent(Node):
    """A change that somebody told us of. `outcome` says what became of it; an UNROUTED one belongs to no franchise yet."""

    source: str
    external_id: str
    external_location_id: str | None
    status: WebhookEventStatus
    received_at: datetime
    processed_at: datetime | None
    outcome: str | None
    error: str | None
    attempts: int

    @classmethod
    def of(cls, row: ingestion.WebhookEvent) -> WebhookEvent:
        return cls(
            id=strawberry.ID(encode(Kind.WEBHOOK_EVENT, row.id)),
            source=row.source,
            external_id=row.external_id,
            external_location_id=row.external_location_id,
            status=WebhookEventStatus(row.status),
            received_at=row.received_at,
            processed_at=row.processed_at,
            outcome=row.outcome,
            error=row.error,
            attempts=row.attempts,
        )

    @classmethod
    def of_unrouted(cls, row: UnroutedWebhook) -> WebhookEvent:
        """Once it was replayed it is RECEIVED by the franchise that has its location."""
        return cls(
            id=strawberry.ID(encode(Kind.UNROUTED_WEBHOOK, row.id)),
            source=row.source,
            external_id=row.external_id,
            external_location_id=row.route_key,
            status=WebhookEventStatus.RECEIVED if row.replayed_at else WebhookEventStatus.UNROUTED,
            received_at=row.received_at,
            processed_at=row.replayed_at,
            outcome=None,
            error=None,
            attempts=row.attempts,
        )


@strawberry.type
class WebhookEventConnection(Connection[WebhookEvent]):
    """Newest first."""

    @classmethod
    async def load(cls, info: Request, status: str | None, wanted: Page, after: str | None) -> Self:
        rows = await info.context.run(repository.webhook_events, status, wanted)
        order, kind = EVENT_ORDER, Kind.WEBHOOK_EVENT
        found = ((cursor(order, Key(row.received_at, row.id), kind), WebhookEvent.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, lambda: info.context.run(repository.count_webhook_events, status))


@strawberry.type
class WebhookEventPayload:
    event: WebhookEvent | None
    errors: list[UserError]


@strawberry.type
class JobExecution(Node):
    """One run of a job for this franchise; `processed` counts what it changed."""

    job: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    processed: int
    error: str | None

    @classmethod
    def of(cls, row: jobs.JobExecution) -> JobExecution:
        return cls(
            id=strawberry.ID(encode(Kind.JOB_EXECUTION, row.id)),
            job=row.job,
            started_at=row.started_at,
            finished_at=row.finished_at,
            status=row.status,
            processed=row.processed,
            error=row.error,
        )


@strawberry.type
class JobExecutionConnection(Connection[JobExecution]):
    """Newest first."""

    @classmethod
    async def load(cls, info: Request, job: str | None, wanted: Page, after: str | None) -> Self:
        rows = await info.context.run(repository.job_executions, job, wanted)
        order, kind = JOB_ORDER, Kind.JOB_EXECUTION
        found = ((cursor(order, Key(row.started_at, row.id), kind), JobExecution.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, lambda: info.context.run(repository.count_job_executions, job))


@strawberry.type
class AuditEntry(Node):
    """`actor` is the subject of the token or the service that did it, `source` the address it was asked from."""

    at: datetime
    actor: str
    action: str
    target: str | None
    source: str | None
    detail: JSON | None

    @classmethod
    def of(cls, row: AuditLine) -> AuditEntry:
        return cls(
            id=strawberry.ID(encode(Kind.AUDIT_ENTRY, row.id)),
            at=row.at,
            actor=row.actor,
            action=row.action,
            target=row.target,
            source=row.source,
            detail=JSON(row.detail) if row.detail is not None else None,
        )


def audit_cursor(number: int) -> str:
    return f"{Kind.AUDIT_ENTRY.value}_{number}"


@strawberry.type
class AuditEntryConnection(Connection[AuditEntry]):
    """Newest first."""

    @classmethod
    async def load(cls, info: Request, first: int, before: int | None, after: str | None) -> Self:
        rows = await info.context.run(repository.audit_lines, first, before)
        found = ((audit_cursor(row.number), AuditEntry.of(row)) for row in rows)
        return cls.page(found, first, after, partial(info.context.run, repository.count_audit_lines))
