"""What can be asked about how a franchise runs."""

from __future__ import annotations

from uuid import UUID

import strawberry

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import checked_first, page, position_of
from lead_orchestrator.graphql.lead_types import MESSAGE_ORDER, MessageConnection
from lead_orchestrator.graphql.operations import people, repository
from lead_orchestrator.graphql.operations import tenants as administration
from lead_orchestrator.graphql.operations.messages import MESSAGE_KINDS, MessageFilter
from lead_orchestrator.graphql.operations.messages import messages as all_messages
from lead_orchestrator.graphql.operations.people import USER_ORDER, LoginSession, UserConnection
from lead_orchestrator.graphql.operations.tenants import TenantConnection
from lead_orchestrator.graphql.operations.types import (
    EVENT_ORDER,
    JOB_ORDER,
    AuditEntry,
    AuditEntryConnection,
    JobExecution,
    JobExecutionConnection,
    WebhookEvent,
    WebhookEventConnection,
    WebhookEventStatus,
)
from lead_orchestrator.ids import Kind

__all__ = ["NODES", "OperationsQueries", "checked_job"]

LONGEST_SEARCH = 200
LONGEST_JOB = 100


@strawberry.type
class OperationsQueries:
    @strawberry.field
    async def messages(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        filter: MessageFilter | None = None,  # noqa: A002 - the contract's name
    ) -> MessageConnection:
        """What was and is to be sent and what came in, newest first."""
        wanted = page(first, after, MESSAGE_ORDER, MESSAGE_KINDS)
        return await all_messages(info, (filter or MessageFilter()).query(), wanted, after)

    @strawberry.field
    async def webhook_events(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        status: WebhookEventStatus | None = None,
    ) -> WebhookEventConnection:
        wanted = page(first, after, EVENT_ORDER, (Kind.WEBHOOK_EVENT,))
        return await WebhookEventConnection.load(info, status, wanted, after)

    @strawberry.field
    async def job_executions(
        self, info: Request, first: int | None = None, after: str | None = None, job: str | None = None
    ) -> JobExecutionConnection:
        wanted = page(first, after, JOB_ORDER, (Kind.JOB_EXECUTION,))
        return await JobExecutionConnection.load(info, checked_job(job), wanted, after)

    @strawberry.field
    async def audit_log(
        self, info: Request, first: int | None = None, after: str | None = None
    ) -> AuditEntryConnection:
        size, before = checked_first(first), position_of(after, Kind.AUDIT_ENTRY.value)
        return await AuditEntryConnection.load(info, size, before, after)

    @strawberry.field
    async def users(self, info: Request, first: int | None = None, after: str | None = None) -> UserConnection:
        wanted = page(first, after, USER_ORDER, (Kind.USER,), moments=False)
        return await UserConnection.load(info, wanted, after)

    @strawberry.field
    async def my_sessions(self, info: Request) -> list[LoginSession]:
        """Where oneself is signed in, the last seen first."""
        return await people.my_sessions(info)

    @strawberry.field
    async def tenants(
        self, info: Request, first: int | None = None, after: str | None = None, search: str | None = None
    ) -> TenantConnection:
        if search is not None and len(search) > LONGEST_SEARCH:
            message = f"search has {len(search)} characters: send {LONGEST_SEARCH} at most"
            raise BadInputError(message, field=("search",))
        return await administration.tenants(info, first, after, search)

    @strawberry.field
    async def unrouted_webhooks(
        self, info: Request, first: int | None = None, after: str | None = None
    ) -> WebhookEventConnection:
        """What came for locations that no franchise has claimed yet."""
        return await administration.unrouted_webhooks(info, first, after)


def checked_job(job: str | None) -> str | None:
    """Raises BadInputError: longer than any job's name."""
    if job is not None and len(job) > LONGEST_JOB:
        raise BadInputError(f"job has {len(job)} characters: send {LONGEST_JOB} at most", field=("job",))
    return job


async def _webhook_event(info: Request, key: UUID) -> Node | None:
    row = await info.context.run(repository.webhook_event, key)
    return WebhookEvent.of(row) if row else None


async def _job_execution(info: Request, key: UUID) -> Node | None:
    row = await info.context.run(repository.job_execution, key)
    return JobExecution.of(row) if row else None


async def _audit_entry(info: Request, key: UUID) -> Node | None:
    row = await info.context.run(repository.audit_line, key)
    return AuditEntry.of(row) if row else None


async def _login_session(info: Request, key: UUID) -> Node | None:
    wanted = f"{Kind.LOGIN_SESSION.value}_{key}"
    return next((session for session in await people.my_sessions(info) if session.id == wanted), None)


async def _nothing(_info: Request, _key: UUID) -> Node | None:
    return None


NODES = {
    Kind.WEBHOOK_EVENT: _webhook_event,
    Kind.JOB_EXECUTION: _job_execution,
    Kind.AUDIT_ENTRY: _audit_entry,
    Kind.LOGIN_SESSION: _login_session,
    Kind.UNROUTED_WEBHOOK: _nothing,
}
"""What `node` finds of these kinds: only what the caller may list."""
