"""The jobs: each opens nothing, knows nothing, and calls one service. Running one twice is harmless."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import perf_counter
from typing import Any, TypedDict
from uuid import UUID

import structlog

from lead_orchestrator import metrics
from lead_orchestrator.booking.outbox.dispatch import AT_ONCE
from lead_orchestrator.chat.assistant.service import Became
from lead_orchestrator.clock import real_now
from lead_orchestrator.jobs import repository
from lead_orchestrator.jobs.models import JobExecution
from lead_orchestrator.jobs.queue import Queue
from lead_orchestrator.leads.ingestion import repository as inbox
from lead_orchestrator.leads.ingestion.service import Processed
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound.service import Applied
from lead_orchestrator.privacy import repository as privacy
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.audit.trail import head_of
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["JOBS", "Context", "process_event"]

_log = get_logger(__name__)

KEPT = timedelta(days=14)
KEYS_KEPT = timedelta(days=30)
"""How long a request may come again with its idempotency key, and be answered with what it made."""


class Context(TypedDict):
    """What the worker hands to every job."""

    services: Services
    queue: Queue
    job_id: str


async def process_event(context: Context, tenant_id: str, event_id: str) -> None:
    """Turn a stored event into a lead and send its first touch, all at once: the customer waits."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        processed = await services.ingestion.process(tenant, UUID(event_id))
        if processed is None:
            return await _inbound(services, tenant, UUID(event_id))  # it may be one of the other kind, replayed
        await _first_touch(services, tenant, processed)
        return 1

    await _run(context, "process_event", tenant, work)


async def process_inbound(context: Context, tenant_id: str, event_id: str) -> None:
    """Apply a customer's message, or news of one of ours; what is to be answered at once goes out."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        return await _inbound(services, tenant, UUID(event_id))

    await _run(context, "process_inbound", tenant, work)


async def sweep_events(context: Context, tenant_id: str) -> None:
    """Process events whose wake-up was lost or whose time to try again has come."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        done = await services.ingestion.sweep(tenant)
        for processed in done:
            await _first_touch(services, tenant, processed)
        inbound = await services.inbound.sweep(tenant)
        for applied in inbound:
            await _answer(services, tenant, applied)
        return len(done) + len(inbound) or None

    await _run(context, "sweep_events", tenant, work)


async def dispatch_tenant(context: Context, tenant_id: str) -> None:
    """Send one batch; a tenant with more goes to the end of the queue, behind the others, while its calls are under way."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        sent = await services.dispatcher.dispatch(tenant, more=lambda: context["queue"].due(tenant))
        metrics.count_outcomes(sent.outcomes)
        if sent.wait:
            await context["queue"].due(tenant, after=sent.wait)
        return sent.claimed or None

    await _run(context, "dispatch_tenant", tenant, work)


async def resolve_unknown(context: Context, tenant_id: str) -> None:
    """Ask the providers about messages of which nobody knows whether they went out."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        return await services.resolver.resolve(tenant) or None

    await _run(context, "resolve_unknown", tenant, work)


async def poll_tenant(context: Context, tenant_id: str) -> None:
    """Look for what ShopMonkey's webhooks did not tell, and for the appointments made there."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        poll = await services.polling.poll(tenant)
        if poll is None:
            return None
        for event_id in poll.events:
            await context["queue"].event(tenant, event_id)
        if poll.error is not None:
            raise JobFailedError(poll.error)
        await services.calendars.crm.sync_due(tenant)
        return len(poll.events)

    await _run(context, "poll_tenant", tenant, work)


async def dispatch_outbox(context: Context, tenant_id: str) -> None:
    """Tell other systems of appointments that were made or changed."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        told = await services.calendars.outbox.dispatch(tenant)
        if told == AT_ONCE:
            await context["queue"].owed(tenant)
        return told or None

    await _run(context, "dispatch_outbox", tenant, work)


async def sync_calendars(context: Context, tenant_id: str) -> None:
    """Read what is taken in the Google calendars."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        return await services.calendars.google.sync_due(tenant) or None

    await _run(context, "sync_calendars", tenant, work)


async def answer_chat(context: Context, tenant_id: str, chat_id: str) -> None:
    """Answer in a conversation once its customer has finished writing, and send what goes out by text."""
    services, tenant, chat = context["services"], UUID(tenant_id), UUID(chat_id)

    async def work() -> int | None:
        done = await services.assistant.answer(tenant, chat)
        if done.became is Became.TOO_SOON:
            await context["queue"].chat(tenant, chat, after=done.wait)
            return None
        if done.lead_id is not None:
            sent = await services.dispatcher.dispatch(tenant, done.lead_id)
            metrics.count_outcomes(sent.outcomes)
        return 1 if done.became in (Became.ANSWERED, Became.HANDED_OVER) else None

    await _run(context, "answer_chat", tenant, work)


async def answer_chats(context: Context, tenant_id: str) -> None:
    """Find the conversations that are still owed an answer: their bell was lost, or who answered was killed."""
    tenant = UUID(tenant_id)
    for chat in await context["services"].assistant.due(tenant):
        await context["queue"].chat(tenant, chat)


async def send_account_mails(context: Context, tenant_id: str) -> None:
    """Mail invitations and links to new passwords."""
    services, tenant = context["services"], UUID(tenant_id)

    async def work() -> int | None:
        return await services.people.mails.dispatch(tenant) or None

    await _run(context, "send_account_mails", tenant, work)


async def prune(context: Context, tenant_id: str) -> None:
    """Write down where the audit trail ends; forget executions, and messages that could not be applied, of more than two weeks
    ago, idempotency keys of a month ago, and conversations that the franchise keeps no longer."""
    tenant = UUID(tenant_id)
    async with context["services"].tenancy.write(Scope.service(tenant, "prune")) as session:
        head = await head_of(session)
        _log.info("audit_head", position=head.position, hash=head.hash)
        await repository.prune(session, KEPT)
        await tenancy_repository.forget_keys(session, KEYS_KEPT)
        kept = (await tenancy_repository.tenant(session)).webhook_retention_days
        await inbox.forget_payloads(session, timedelta(days=kept) if kept else KEPT)
        await privacy.forget_conversations(session)


class JobFailedError(Exception):
    """A job came to nothing for a reason that its own retry will mend; the sentence is shown to staff."""


async def _inbound(services: Services, tenant: UUID, event_id: UUID) -> int | None:
    """One for a message; None for news of ours, which would fill the list of executions."""
    applied = await services.inbound.process(tenant, event_id)
    if applied is None:
        return None
    await _answer(services, tenant, applied)
    return 1 if applied.message else None


async def _answer(services: Services, tenant: UUID, applied: Applied) -> None:
    metrics.EVENTS.labels(applied.status.value).inc()
    if applied.answer_to is not None:
        sent = await services.dispatcher.dispatch(tenant, applied.answer_to)
        metrics.count_outcomes(sent.outcomes)


async def _first_touch(services: Services, tenant: UUID, processed: Processed) -> None:
    metrics.EVENTS.labels(processed.status.value).inc()
    if processed.enrolled and processed.lead_id is not None:
        metrics.LEADS.inc()
        _log.info("lead_enrolled", lead_id=str(processed.lead_id))
        sent = await services.dispatcher.dispatch(tenant, processed.lead_id)
        metrics.count_outcomes(sent.outcomes)


async def _run(context: Context, job: str, tenant: UUID, work: Callable[[], Awaitable[int | None]]) -> None:
    """Do the work with its tenant in every log line; write the execution unless there was nothing to do (None)."""
    with structlog.contextvars.bound_contextvars(tenant_id=str(tenant), job=job, job_id=context.get("job_id")):
        started, processed, error = perf_counter(), None, None
        try:
            processed = await work()
        except JobFailedError as failure:
            error = str(failure)
        except Exception as failure:
            _log.exception("job_failed")
            await _note(context, job, tenant, started, 0, f"unexpected: {type(failure).__name__}")
            raise
        finally:
            metrics.JOB_SECONDS.labels(job).observe(perf_counter() - started)
        if processed is not None or error is not None:
            await _note(context, job, tenant, started, processed or 0, error)


async def _note(context: Context, job: str, tenant: UUID, started: float, processed: int, error: str | None) -> None:
    async with context["services"].tenancy.write(Scope.service(tenant, job)) as session:
        now = await real_now(session)
        execution = JobExecution(
            tenant_id=tenant,
            job=job,
            started_at=now - timedelta(seconds=perf_counter() - started),
            finished_at=now,
            status="FAILED" if error else "OK",
            processed=processed,
            error=error,
        )
        repository.add(session, execution)


JOBS: list[Callable[..., Awaitable[Any]]] = [
    process_event,
    process_inbound,
    sweep_events,
    dispatch_tenant,
    resolve_unknown,
    poll_tenant,
    dispatch_outbox,
    sync_calendars,
    answer_chat,
    answer_chats,
    send_account_mails,
    prune,
]
