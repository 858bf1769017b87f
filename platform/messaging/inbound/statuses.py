"""What became of our messages: forwards only, in whichever order and however often it is told."""

from __future__ import annotations

from lead_orchestrator.clock import app_now
from lead_orchestrator.integrations.providers import Accepted
from lead_orchestrator.leads.models import Lead, LeadStatus, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.service import Leads, locked, locked_person
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound import repository
from lead_orchestrator.messaging.inbound.models import Arrival, News
from lead_orchestrator.messaging.ledger import Ledger
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.opt_out_replies import ended
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Statuses"]

_log = get_logger(__name__)

_RANKS = {"SENT": 1, "FAILED": 2, "UNDELIVERED": 3, "DELIVERED": 4}
_UNSETTLED = (MessageStatus.SENDING, MessageStatus.UNKNOWN, MessageStatus.SCHEDULED)
_ARRIVES = (MessageStatus.SENT, MessageStatus.DELIVERED)


class Statuses:
    """Whatever a provider tells of a message proves that it took it, so it also settles one of which nobody knew."""

    def __init__(self, leads: Leads, ledger: Ledger) -> None:
        self._leads = leads
        self._ledger = ledger

    async def apply(self, session: WriteSession, news: News) -> str:
        """Write the news down under its lead's lock; returns in words what came of it."""
        attempt = await repository.attempt_of(session, news)
        if attempt is None or attempt.message_id is None:
            return "about no message of ours"
        if await repository.owner_of(session, news) not in (None, attempt.id):
            _log.warning("provider_id_taken", message_id=str(attempt.message_id))
            return "its id belongs to another message of ours"
        lead = await (locked_person if news.opted_out else locked)(session, attempt.lead_id)
        message = await repository.lock_message(session, attempt.message_id)
        attempt = await repository.attempt_of(session, news) or attempt
        if message.attempt == attempt.attempt and message.status in _UNSETTLED:
            await self._accepted(session, message, attempt, news)
        outcome = await self._moved(session, lead, message, attempt, news)
        if news.opted_out:
            why = f"Opted out at the provider ({news.code or 'told us'})"
            await self._leads.opt_out(session, lead, ended(news.channel, None), why)
        return outcome

    async def _accepted(
        self, session: WriteSession, message: ScheduledMessage, attempt: MessageLog, news: News
    ) -> None:
        answer = Accepted(news.provider_id, news.arrival.value, None)
        await self._ledger.record(session, attempt.lead_id, message.id, attempt.attempt, answer)
        await session.flush()
        await session.refresh(attempt)

    async def _moved(
        self, session: WriteSession, lead: Lead, message: ScheduledMessage, attempt: MessageLog, news: News
    ) -> str:
        attempt.provider_message_id = attempt.provider_message_id or news.provider_id or None
        if _rank(attempt.status) < _rank(news.arrival):
            attempt.status, attempt.error_code = news.arrival.value, news.code
        if message.attempt != attempt.attempt:
            return "about an earlier attempt"
        if _rank(message.status) >= _rank(news.arrival):
            return "known already"
        before, message.status, message.lease_until = message.status, MessageStatus(news.arrival.value), None
        message.provider_message_id = message.provider_message_id or attempt.provider_message_id
        message.error_code = news.code
        if news.arrival is Arrival.DELIVERED:
            await self._delivered(session, lead, message)
        elif news.arrival is not Arrival.SENT:
            await self._did_not_arrive(session, lead, message, news)
        _count(lead, message, before)
        await session.flush()
        return f"message {news.arrival.value.lower()}"

    async def _delivered(self, session: WriteSession, lead: Lead, message: ScheduledMessage) -> None:
        message.delivered_at = await app_now(session)
        _tell(session, lead, message, "message.delivered")
        if lead.status == LeadStatus.NEW and message.enrolment == lead.enrolment:
            lead.first_contacted_at = lead.first_contacted_at or message.sent_at
            await self._leads.move(session, lead, LeadStatus.CONTACTED, "First contact")

    async def _did_not_arrive(self, session: WriteSession, lead: Lead, message: ScheduledMessage, news: News) -> None:
        message.decision = f"Not delivered: {news.why or 'the provider gives no reason'}"
        _tell(session, lead, message, "message.undelivered")
        await session.flush()
        if message.enrolment == lead.enrolment and not await repository.reached_otherwise(session, message):
            await self._leads.not_reached(session, lead)


def _rank(status: str) -> int:
    return _RANKS.get(status, 0)


def _count(lead: Lead, message: ScheduledMessage, before: str) -> None:
    """A touch that was accepted counts until it is known not to have arrived, and again if it arrived after all."""
    if message.kind != MessageKind.TOUCH or message.enrolment != lead.enrolment or message.sent_at is None:
        return
    lead.touches_sent += (message.status in _ARRIVES) - (before in _ARRIVES)


def _tell(session: WriteSession, lead: Lead, message: ScheduledMessage, kind: str) -> None:
    detail = {"messageId": f"msg_{message.id}", "channel": message.channel, "code": message.error_code}
    session.record(kind, location_id=lead.location_id, lead_id=lead.id, detail=detail)
