"""What becomes of a message after its provider answered: status, lead, next touch, all in one transaction."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.service import Leads, locked, locked_person
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.messaging import repository
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.touches.service import plan_next, schedules

__all__ = ["DispatchPolicy", "Ledger", "Outcome"]

Outcome = Accepted | ProviderRefused | ProviderBusy | ProviderUnknown | None
"""What a provider answered; None when it was not asked, because the call could not start in time."""

_OPEN = (MessageStatus.SENDING, MessageStatus.UNKNOWN)


@dataclass(frozen=True)
class DispatchPolicy:
    """Times of the dispatcher, in real seconds; a call starts within a third of the lease and ends within the next."""

    lease: float = 30.0
    batch: int = 10
    first_check: float = 2.0
    settle: float = 60.0
    most_attempts: int = 6
    longest_backoff: float = 3600.0

    @property
    def call(self) -> float:
        return self.lease / 3

    @property
    def last_call(self) -> float:
        """Seconds after its claim by which every call of a message has ended."""
        return 2 * self.call


class Ledger:
    """Writes outcomes. Every method runs under the lead's lock, taken before the message's."""

    def __init__(self, leads: Leads, policy: DispatchPolicy) -> None:
        self._leads = leads
        self._policy = policy

    async def record(
        self, session: WriteSession, lead_id: UUID, message_id: UUID, attempt: int, outcome: Outcome
    ) -> MessageStatus | None:
        """Write `outcome` where this attempt still stands; None if somebody else has settled it."""
        opted_out = isinstance(outcome, ProviderRefused) and outcome.opted_out
        lead = await (locked_person if opted_out else locked)(session, lead_id)
        # Accepted after all, just before it would have been sent again.
        statuses = (*_OPEN, MessageStatus.SCHEDULED) if isinstance(outcome, Accepted) else _OPEN
        message = await repository.lock_message(session, message_id, attempt, statuses)
        if message is None:
            return None
        match outcome:
            case Accepted():
                await self._sent(session, lead, message, outcome)
            case ProviderRefused():
                await self._refused(session, lead, message, outcome)
            case ProviderBusy():
                await self._busy(session, lead, message, outcome.code, outcome.retry_after)
            case ProviderUnknown():
                await self._unknown(session, message, outcome)
            case None:
                await self._released(session, message)
        return MessageStatus(message.status)

    async def resend(self, session: WriteSession, message: ScheduledMessage) -> None:
        """The provider does not have a message of an unknown attempt: send it again, as a new attempt."""
        message.status, message.lease_until = MessageStatus.SCHEDULED, None
        message.resends += 1
        message.due_at = await app_now(session)
        message.decision = "Sent again: the provider has no trace of the attempt before"
        await repository.close_attempt(session, message.id, message.attempt, status="NOT_SENT")

    async def after_touch(self, session: WriteSession, lead: Lead, number: int) -> None:
        """Plan what follows a touch that went out, failed or was skipped; after the last one the lead is lost."""
        now = await app_now(session)
        if number == 1:
            lead.enrolled_at = now  # the days of the schedule count from the first contact
        if LeadStatus(lead.status) in ENDS_TOUCHES:
            return
        location = await tenancy_repository.location(session, lead.location_id)
        if location is None:
            return
        schedule = (await schedules(session, [location.id]))[location.id]
        follows = plan_next(session, lead, location, schedule, after=number, now=now)
        if follows is None and lead.touches_sent:
            await self._leads.move(session, lead, LeadStatus.LOST, "No answer after the last touch")

    async def _sent(self, session: WriteSession, lead: Lead, message: ScheduledMessage, accepted: Accepted) -> None:
        now = await app_now(session)
        message.status, message.lease_until = MessageStatus.SENT, None
        again = message.sent_at is not None
        message.sent_at = now
        message.provider_message_id = accepted.provider_message_id or None
        message.segments = accepted.segments or message.segments
        message.error_code = None
        await repository.close_attempt(
            session,
            message.id,
            message.attempt,
            status="SENT",
            provider_message_id=accepted.provider_message_id or None,
        )
        lead.last_activity_at = now
        lead.first_contacted_at = lead.first_contacted_at or now
        detail = {"messageId": f"msg_{message.id}", "channel": message.channel, "touch": message.touch_number}
        session.record("message.sent", location_id=lead.location_id, lead_id=lead.id, detail=detail)
        if message.enrolment != lead.enrolment:
            return
        if lead.status == LeadStatus.NEW:
            await self._leads.move(session, lead, LeadStatus.CONTACTED, "First contact")
        if message.kind == MessageKind.TOUCH:
            lead.touches_sent += not again
            lead.touched |= 1 << (message.touch_number or 0)
        if message.leads_on:
            await self.after_touch(session, lead, message.touch_number or 0)

    async def _refused(
        self, session: WriteSession, lead: Lead, message: ScheduledMessage, refused: ProviderRefused
    ) -> None:
        if refused.credentials:
            await repository.refuse_channel(session, Channel(message.channel), f"{refused.code}: {refused.message}")
            return await self._busy(session, lead, message, refused.code, self._policy.longest_backoff)
        if refused.opted_out:
            channel = Channel(message.channel)
            both = [Channel.SMS, Channel.WHATSAPP] if channel is Channel.SMS else [channel]
            await self._leads.opt_out(session, lead, both, f"Opted out at the carrier ({refused.code})")
        await self._failed(session, lead, message, refused.code, refused.message)
        return None

    async def _failed(self, session: WriteSession, lead: Lead, message: ScheduledMessage, code: str, why: str) -> None:
        message.status, message.lease_until, message.error_code = MessageStatus.FAILED, None, code
        message.decision = f"Failed: {why}"
        await repository.close_attempt(session, message.id, message.attempt, status="FAILED", error_code=code)
        detail = {"messageId": f"msg_{message.id}", "channel": message.channel, "code": code}
        session.record("message.failed", location_id=lead.location_id, lead_id=lead.id, detail=detail)
        if message.leads_on and message.enrolment == lead.enrolment:
            await self.after_touch(session, lead, message.touch_number or 0)

    async def _busy(
        self, session: WriteSession, lead: Lead, message: ScheduledMessage, code: str, wanted: float | None
    ) -> None:
        if message.attempt >= self._policy.most_attempts:
            await self._failed(session, lead, message, code, f"the provider was busy {message.attempt} times ({code})")
            return
        seconds = max(wanted or 0, 2.0**message.attempt * 2) * random.uniform(1, 1.25)  # noqa: S311 - jitter
        message.status, message.lease_until, message.error_code = MessageStatus.SCHEDULED, None, code
        message.due_at = await app_now(session) + timedelta(seconds=min(seconds, self._policy.longest_backoff))
        message.decision = f"Waiting: the provider did not take it ({code}), attempt {message.attempt}"
        await repository.close_attempt(session, message.id, message.attempt, status="NOT_SENT", error_code=code)

    async def _unknown(self, session: WriteSession, message: ScheduledMessage, unknown: ProviderUnknown) -> None:
        message.status = MessageStatus.UNKNOWN
        message.lease_until = await real_now(session) + timedelta(seconds=self._policy.first_check)
        message.decision = f"Unknown whether it went out ({unknown.reason}): the provider is being asked"
        await repository.close_attempt(session, message.id, message.attempt, status="UNKNOWN")

    async def _released(self, session: WriteSession, message: ScheduledMessage) -> None:
        message.status, message.lease_until = MessageStatus.SCHEDULED, None
        message.decision = "Waiting: its turn did not come in time"
        await repository.close_attempt(session, message.id, message.attempt, status="NOT_SENT")
