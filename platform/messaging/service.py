"""What staff writes to a lead, and what it decides about a message that did not take its way by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.integrations.providers import Accepted
from lead_orchestrator.leads.models import Channel, Lead, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.service import locked
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.ledger import Ledger
from lead_orchestrator.messaging.planned import Planned, plan
from lead_orchestrator.messaging.replies import shop_subject, write
from lead_orchestrator.messaging.simulate import Foreseen, foresee, simulate
from lead_orchestrator.messaging.templates import repository as templates_repository
from lead_orchestrator.tenancy.idempotency import once
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Alarm, ReadSession, WriteSession
from lead_orchestrator.touches.wording import LONGEST_BODY, LONGEST_SUBJECT

__all__ = ["Conversation", "Draft", "Messages"]

LONGEST_WAIT = timedelta(days=366)
WELCOME_LASTS = timedelta(days=1)
_SHOWN = 60
_TRIED = (MessageStatus.FAILED, MessageStatus.UNDELIVERED)


@dataclass(frozen=True)
class Draft:
    """A message as staff wrote it; `due_at` None is at once. Braces in it are braces: it is no template."""

    lead_id: UUID
    channel: Channel
    body: str
    subject: str | None = None
    due_at: datetime | None = None


class Conversation(Protocol):
    """What a lead and the shop say to each other on a channel."""

    async def say(self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str) -> bool:
        """Add what staff writes to the lead's open conversation; False where there is none."""
        ...


class Messages:
    """Every method but `send` takes the lead's lock before the message's, as the dispatcher does: they exclude each other."""

    def __init__(self, ledger: Ledger, secrets: SecretBox, links: LinkSigner, conversation: Conversation) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._links = links
        self._conversation = conversation

    async def send(self, session: WriteSession, draft: Draft, key: str) -> ScheduledMessage:
        """Write the message down to be sent, once for each `key`; like every message it goes out when the gate lets it.

        Raises:
            BadInputError: it cannot be sent as it is: ADDRESS_MISSING, CHANNEL_UNAVAILABLE, IN_THE_PAST, …
            KeyReusedError: the key came with another message before.
            NotFoundError: the caller sees no such lead.
        """

        async def work() -> UUID:
            return (await self._written(session, draft)).id

        operation = "sendMessage" if draft.due_at is None else "scheduleMessage"
        made = await once(session, operation, key, _request(draft), work)
        return await _seen(session, made.result_id)

    async def send_template(self, session: WriteSession, lead_id: UUID, planned: Planned, key: str) -> ScheduledMessage:
        """As `send`, in the words of a template.

        Raises:
            BadInputError: IN_THE_PAST, or due too far ahead.
            KeyReusedError: the key came with another message before.
            NotFoundError: the caller sees no such lead.
        """

        async def work() -> UUID:
            lead = await locked(session, lead_id)
            _check_due(planned.due_at, await app_now(session))
            message = await plan(session, lead, planned, self._links)
            message.decision = await foresee(session, message, lead, self._secrets)
            _note(session, message, "written")
            return message.id

        made = await once(session, "sendTemplate", key, planned.request(lead_id), work)
        return await _seen(session, made.result_id)

    async def welcome(self, session: WriteSession, lead_id: UUID, key: str) -> ScheduledMessage:
        """Welcome somebody who has just asked: once for each `key`, and once a day for each lead however often they ask.

        Raises:
            NotFoundError: there is no such lead in this scope.
        """

        async def write() -> UUID:
            lead = await locked(session, lead_id)
            now = await app_now(session)
            before = await templates_repository.made_since(session, lead_id, MessageKind.WELCOME, now - WELCOME_LASTS)
            if before is not None:
                return before
            message = await plan(session, lead, Planned(MessageKind.WELCOME, reference="welcome"), self._links)
            message.decision = await foresee(session, message, lead, self._secrets)
            _note(session, message, "written")
            session.ring(Alarm.MESSAGES)
            return message.id

        made = await once(session, "welcome", key, {"leadId": str(lead_id)}, write)
        return await _seen(session, made.result_id)

    async def simulate(
        self, session: ReadSession, lead_id: UUID | None, location_id: UUID | None, starting_at: datetime | None
    ) -> list[Foreseen]:
        """See `simulate.simulate`."""
        return await simulate(session, self._secrets, lead_id, location_id, starting_at)

    async def cancel(self, session: WriteSession, message_id: UUID) -> ScheduledMessage:
        """Never send a message that waits; the lead's next touch follows one that is cancelled.

        Raises:
            BadInputError: NOT_SCHEDULED.
            NotFoundError: the caller sees no such message.
        """
        lead, message = await _locked(session, message_id, [MessageStatus.SCHEDULED], "NOT_SCHEDULED")
        message.status, message.decision = MessageStatus.CANCELLED, "Cancelled by staff"
        _note(session, message, "cancelled")
        if message.leads_on and message.enrolment == lead.enrolment:
            await session.flush()
            await self._ledger.after_touch(session, lead, message.touch_number or 0)
        return message

    async def retry(self, session: WriteSession, message_id: UUID) -> ScheduledMessage:
        """Send a message again that failed or did not arrive, as a new attempt.

        Raises:
            BadInputError: NOT_FAILED.
            NotFoundError: the caller sees no such message.
        """
        _, message = await _locked(session, message_id, _TRIED, "NOT_FAILED")
        message.status, message.decision = MessageStatus.SCHEDULED, "Tried again by staff"
        message.due_at = await app_now(session)
        message.error_code = message.provider_message_id = None
        message.retries += 1
        _note(session, message, "retried")
        return message

    async def resolve_unknown(self, session: WriteSession, message_id: UUID, *, sent: bool) -> ScheduledMessage:
        """Settle a message of which the provider did not say what became of it; one that was not sent is sent again.

        Raises:
            BadInputError: NOT_UNKNOWN.
            NotFoundError: the caller sees no such message.
        """
        lead, message = await _locked(session, message_id, [MessageStatus.UNKNOWN], "NOT_UNKNOWN")
        if sent:
            await self._ledger.record(session, lead.id, message.id, message.attempt, Accepted("", "", None))
            message.decision = "Sent, as staff found out"
        else:
            await self._ledger.resend(session, message)
            message.decision = "Sent again: staff found out that it had not gone out"
        _note(session, message, "resolved", sent=sent)
        return message

    async def _written(self, session: WriteSession, draft: Draft) -> ScheduledMessage:
        lead = await locked(session, draft.lead_id)
        _check(draft, lead)
        _check_due(draft.due_at, await app_now(session))
        message = await write(
            session,
            lead,
            MessageKind.AD_HOC,
            draft.channel,
            draft.body,
            subject=await _subject(session, draft, lead),
            due_at=draft.due_at,
        )
        named = encode(Kind.MESSAGE, message.id)
        at_once = draft.due_at is None
        if at_once and await self._conversation.say(session, lead, draft.channel, draft.body, named):
            message.kind = MessageKind.REPLY  # an answer goes at any hour to somebody who has just written
        message.decision = await foresee(session, message, lead, self._secrets)
        _note(session, message, "written")
        return message


def _request(draft: Draft) -> dict[str, object]:
    return {
        "leadId": str(draft.lead_id),
        "channel": draft.channel.value,
        "body": draft.body,
        "subject": draft.subject,
        "dueAt": draft.due_at.isoformat() if draft.due_at else None,
    }


async def _seen(session: WriteSession, message_id: UUID) -> ScheduledMessage:
    message = await repository.message(session, message_id)
    if message is None:
        raise NotFoundError(f"there is no message {encode(Kind.MESSAGE, message_id)}", field=("id",))
    return message


async def _locked(
    session: WriteSession, message_id: UUID, statuses: Collection[MessageStatus], code: str
) -> tuple[Lead, ScheduledMessage]:
    """The message with its lead, both locked, if it has one of `statuses`."""
    lead = await locked(session, (await _seen(session, message_id)).lead_id)
    message = await repository.relock_message(session, message_id)
    if message.status not in statuses:
        wanted = " or ".join(status.value for status in statuses)
        raise BadInputError(
            f"the message is {message.status}: this is for one that is {wanted}", code=code, field=("id",)
        )
    return lead, message


def _note(session: WriteSession, message: ScheduledMessage, what: str, **more: object) -> None:
    """In the lead's timeline, and by whom in the audit trail."""
    target = encode(Kind.MESSAGE, message.id)
    detail = {"messageId": target, "channel": message.channel, "kind": message.kind}
    session.record(f"message.{what}", location_id=message.location_id, lead_id=message.lead_id, detail=detail)
    lead = encode(Kind.LEAD, message.lead_id)
    session.audit(f"message.{what}", target=target, detail={"leadId": lead, "channel": message.channel, **more})


def _check(draft: Draft, lead: Lead) -> None:
    longest = LONGEST_BODY.get(draft.channel)
    if longest is None:
        message = f"{draft.channel.value} is no way to send a message: answer in the conversation with sendChatMessage"
        raise BadInputError(message, code="CHANNEL_UNAVAILABLE", field=("channel",))
    if not lead.addresses.get(draft.channel):
        message = f"the lead has no address on {draft.channel.value}: send it on a channel it has"
        raise BadInputError(message, code="ADDRESS_MISSING", field=("channel",))
    if not draft.body.strip():
        raise BadInputError("body is empty: write what the message says", field=("body",))
    if len(draft.body) > longest:
        message = f"body has {len(draft.body)} characters: {draft.channel.value} takes {longest} at most"
        raise BadInputError(message, field=("body",))
    _check_subject(draft)


def _check_subject(draft: Draft) -> None:
    subject = draft.subject or ""
    if subject.strip() and draft.channel is not Channel.EMAIL:
        message = f"{draft.channel.value} has no subject, and this is {subject[:_SHOWN]!r}: leave it out"
        raise BadInputError(message, field=("subject",))
    if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        message = f"subject is {subject[:_SHOWN]!r}: send one line of {LONGEST_SUBJECT} characters at most"
        raise BadInputError(message, field=("subject",))


def _check_due(due_at: datetime | None, now: datetime) -> None:
    if due_at is None:
        return
    if due_at < now:
        message = (
            f"dueAt is {due_at.isoformat()}, and it is {now.isoformat(timespec='seconds')}: send it with sendMessage"
        )
        raise BadInputError(message, code="IN_THE_PAST", field=("dueAt",))
    if due_at > now + LONGEST_WAIT:
        message = f"dueAt is {due_at.isoformat()}: nothing is planned more than {LONGEST_WAIT.days} days ahead"
        raise BadInputError(message, field=("dueAt",))


async def _subject(session: WriteSession, draft: Draft, lead: Lead) -> str | None:
    """A mail has one in any case: without one from staff it names the shop."""
    if draft.channel is not Channel.EMAIL:
        return None
    return (draft.subject or "").strip() or await shop_subject(session, lead)
