"""What can be done about webhooks that were not processed as they should have been."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.operations.types import WebhookEvent, WebhookEventPayload
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.ingestion.replay import replay_event, replay_unrouted_event

__all__ = ["OperationsMutations"]


@strawberry.type
class OperationsMutations:
    @strawberry.mutation
    async def replay_webhook_event(self, info: Request, id: strawberry.ID) -> WebhookEventPayload:  # noqa: A002 - the contract's name
        """Process an event again that failed, was ignored or came to nothing."""
        try:
            async with info.context.writing() as session:
                event = await replay_event(session, decode(Kind.WEBHOOK_EVENT, id, field="id"))
        except AppError as error:
            return WebhookEventPayload(event=None, errors=[UserError.of(error)])
        info.context.event_waits(event.tenant_id, event.id)
        return WebhookEventPayload(event=WebhookEvent.of(event), errors=[])

    @strawberry.mutation
    async def replay_unrouted_webhook(self, info: Request, id: strawberry.ID) -> WebhookEventPayload:  # noqa: A002 - the contract's name
        """Hand an event that no franchise had claimed to the one that has its location now."""
        try:
            key = decode(Kind.UNROUTED_WEBHOOK, id, field="id")
            replayed = await replay_unrouted_event(
                info.context.services.tenancy, key, actor=info.context.claims.subject
            )
        except AppError as error:
            return WebhookEventPayload(event=None, errors=[UserError.of(error)])
        if replayed.event_id is not None:
            info.context.event_waits(replayed.tenant_id, replayed.event_id)
        return WebhookEventPayload(event=WebhookEvent.of_unrouted(replayed.row), errors=[])
