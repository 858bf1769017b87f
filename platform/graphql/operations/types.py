"""What came in by webhook, what the worker did and who changed what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum

import strawberry

from lead_orchestrator.graphql.connections import Node, PageInfo, UserError, page_info
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

Count = Callable[[], Awaitable[int]]

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
class WebhookEventEdge:
    cursor: str
    node: WebhookEvent


@strawberry.type
class WebhookEventConnection:
    """Newest first."""

    edges: list[WebhookEventEdge]
    page_info: PageInfo
    count: strawberry.Private[Count]

    @classmethod
    def of(
        cls, rows: Sequence[ingestion.WebhookEvent], page: Page, *, after: str | None, count: Count
    ) -> WebhookEventConnection:
        cursors = [cursor(EVENT_ORDER, Key(row.received_at, row.id), Kind.WEBHOOK_EVENT) for row in rows[: page.first]]
        nodes = [WebhookEvent.of(row) for row in rows[: page.first]]
        return cls._made(cursors, nodes, page_info(cursors, more=len(rows) > page.first, after=after), count)

    @classmethod
    def of_unrouted(
        cls, rows: Sequence[UnroutedWebhook], page: Page, *, after: str | None, count: Count
    ) -> WebhookEventConnection:
        shown = rows[: page.first]
        cursors = [cursor(UNROUTED_ORDER, Key(row.received_at, row.id), Kind.UNROUTED_WEBHOOK) for row in shown]
        nodes = [WebhookEvent.of_unrouted(row) for row in shown]
        return cls._made(cursors, nodes, page_info(cursors, more=len(rows) > page.first, after=after), count)

    @classmethod
    def _made(
        cls, cursors: Sequence[str], nodes: Sequence[WebhookEvent], info: PageInfo, count: Count
    ) -> WebhookEventConnection:
        edges = [WebhookEventEdge(cursor=at, node=node) for at, node in zip(cursors, nodes, strict=True)]
        return cls(edges=edges, page_info=info, count=count)

    @strawberry.field
    async def total_count(self) -> int:
        return await self.count()


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
class JobExecutionEdge:
    cursor: str
    node: JobExecution


@strawberry.type
class JobExecutionConnection:
    """Newest first."""

    edges: list[JobExecutionEdge]
    page_info: PageInfo
    job: strawberry.Private[str | None]

    @classmethod
    def of(
        cls, rows: Sequence[jobs.JobExecution], page: Page, *, after: str | None, job: str | None
    ) -> JobExecutionConnection:
        shown = rows[: page.first]
        cursors = [cursor(JOB_ORDER, Key(row.started_at, row.id), Kind.JOB_EXECUTION) for row in shown]
        edges = [JobExecutionEdge(cursor=at, node=JobExecution.of(row)) for at, row in zip(cursors, shown, strict=True)]
        return cls(edges=edges, page_info=page_info(cursors, more=len(rows) > page.first, after=after), job=job)

    @strawberry.field
    async def total_count(self, info: Request) -> int:
        return await info.context.run(repository.count_job_executions, self.job)


@strawberry.type
class AuditEntry(Node):
    """`actor` is the subject of the token or the service that did it."""

    at: datetime
    actor: str
    action: str
    target: str | None
    detail: JSON | None

    @classmethod
    def of(cls, row: AuditLine) -> AuditEntry:
        return cls(
            id=strawberry.ID(encode(Kind.AUDIT_ENTRY, row.id)),
            at=row.at,
            actor=row.actor,
            action=row.action,
            target=row.target,
            detail=JSON(row.detail) if row.detail is not None else None,
        )


@strawberry.type
class AuditEntryEdge:
    cursor: str
    node: AuditEntry


def audit_cursor(number: int) -> str:
    return f"{Kind.AUDIT_ENTRY.value}_{number}"


@strawberry.type
class AuditEntryConnection:
    """Newest first."""

    edges: list[AuditEntryEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, rows: Sequence[AuditLine], first: int, after: str | None) -> AuditEntryConnection:
        edges = [AuditEntryEdge(cursor=audit_cursor(row.number), node=AuditEntry.of(row)) for row in rows[:first]]
        return cls(
            edges=edges, page_info=page_info([edge.cursor for edge in edges], more=len(rows) > first, after=after)
        )

    @strawberry.field
    async def total_count(self, info: Request) -> int:
        return await info.context.run(repository.count_audit_lines)
