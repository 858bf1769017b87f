"""What staff sends, and what it decides about messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Self

import strawberry

from lead_orchestrator.errors import UnavailableError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.enums import Channel
from lead_orchestrator.graphql.lead_types import Message
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.models import ScheduledMessage
from lead_orchestrator.messaging.service import Draft, Messages
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["MessagingMutations"]

Work = Callable[[Messages, WriteSession], Awaitable[ScheduledMessage]]


@strawberry.input
class SendMessageInput:
    """The body is sent as it is. A mail without a subject names the shop in it; nothing else has one."""

    lead_id: strawberry.ID
    channel: Channel
    body: str
    idempotency_key: str
    subject: str | None = None

    def draft(self) -> Draft:
        return Draft(decode(Kind.LEAD, self.lead_id, field="leadId"), self.channel, self.body, self.subject)


@strawberry.input
class ScheduleMessageInput:
    """As `SendMessageInput`, not before `dueAt`."""

    lead_id: strawberry.ID
    channel: Channel
    body: str
    due_at: datetime
    idempotency_key: str
    subject: str | None = None

    def draft(self) -> Draft:
        lead_id = decode(Kind.LEAD, self.lead_id, field="leadId")
        return Draft(lead_id, self.channel, self.body, self.subject, self.due_at)


@strawberry.type
class MessagePayload:
    message: Message | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: ScheduledMessage | None, errors: list[UserError]) -> Self:
        return cls(message=Message.of(row) if row else None, errors=errors)


@strawberry.type
class MessagingMutations:
    @strawberry.mutation
    async def send_message(self, info: Request, input: SendMessageInput) -> MessagePayload:  # noqa: A002 - the contract's name
        """Send it now, as far as the gate allows; `decision` says what it waits for."""

        async def work(messages: Messages, session: WriteSession) -> ScheduledMessage:
            return await messages.send(session, input.draft(), input.idempotency_key)

        return await _answer(info, work)

    @strawberry.mutation
    async def schedule_message(self, info: Request, input: ScheduleMessageInput) -> MessagePayload:  # noqa: A002 - the contract's name
        async def work(messages: Messages, session: WriteSession) -> ScheduledMessage:
            return await messages.send(session, input.draft(), input.idempotency_key)

        return await _answer(info, work)

    @strawberry.mutation
    async def cancel_message(self, info: Request, id: strawberry.ID) -> MessagePayload:  # noqa: A002 - the contract's name
        """For a message that waits; the lead's next touch follows one that is cancelled."""

        async def work(messages: Messages, session: WriteSession) -> ScheduledMessage:
            return await messages.cancel(session, decode(Kind.MESSAGE, id, field="id"))

        return await _answer(info, work)

    @strawberry.mutation
    async def retry_message(self, info: Request, id: strawberry.ID) -> MessagePayload:  # noqa: A002 - the contract's name
        """For a message that failed or did not arrive: send it again, as a new attempt."""

        async def work(messages: Messages, session: WriteSession) -> ScheduledMessage:
            return await messages.retry(session, decode(Kind.MESSAGE, id, field="id"))

        return await _answer(info, work)

    @strawberry.mutation
    async def resolve_unknown_message(self, info: Request, id: strawberry.ID, sent: bool) -> MessagePayload:  # noqa: A002 - the contract's
        """For a message of which the provider did not say what became of it; one that was not sent is sent again."""

        async def work(messages: Messages, session: WriteSession) -> ScheduledMessage:
            return await messages.resolve_unknown(session, decode(Kind.MESSAGE, id, field="id"), sent=sent)

        return await _answer(info, work)


async def _answer(info: Request, work: Work) -> MessagePayload:
    async def with_messages(session: WriteSession) -> ScheduledMessage:
        if info.context.services.messages is None:
            raise UnavailableError("no messages are sent from here")
        message = await work(info.context.services.messages, session)
        info.context.something_is_due()
        return message

    return await answer(info, with_messages, MessagePayload.of)
