"""What becomes of messages after their providers answered: status, lead, next touch, all in one transaction."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.clock import app_now, both_nows
from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.service import Leads, locked, locked_person
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.opt_out_replies import ended
from lead_orchestrator.messaging.repository import Closing
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.touches.service import Schedule, next_touch, schedules

__all__ = ["DispatchPolicy", "Ledger", "Outcome", "Result"]

Outcome = Accepted | ProviderRefused | ProviderBusy | ProviderUnknown | None
"""What a provider answered; None when it was not asked, because the call could not start in time."""

_OPEN = (MessageStatus.SENDING, MessageStatus.UNKNOWN)


@dataclass(frozen=True)
class DispatchPolicy:
    """Times of the dispatcher, in real seconds; a call starts within a third of the lease and ends within the next.

    `share` is the most calls of one tenant that a process has under way, `gathering` how long an outcome waits for others
    to be written with it.
    """

    lease: float = 30.0
    batch: int = 16
    share: int = 48
    gathering: float = 0.02
    first_check: float = 2.0
    settle: float = 60.0
    most_attempts: int = 6
    longest_backoff: float = 3600.0
    events: float = 3600.0  # how long SendGrid's or WhatsApp's word is waited for

    @property
    def call(self) -> float:
        return self.lease / 3

    @property
    def last_call(self) -> float:
        """Seconds after its claim by which every call of a message has ended."""
        return 2 * self.call


@dataclass(frozen=True)
class Result:
    """What came of one attempt to send a message."""

    lead_id: UUID
    message_id: UUID
    attempt: int
    outcome: Outcome

    @property
    def opted_out(self) -> bool:
        return isinstance(self.outcome, ProviderRefused) and self.outcome.opted_out


@dataclass
class _Page:
    """One transaction's outcomes: what they share, and what is left to be written at its end, in a statement each."""

    session: WriteSession
    now: datetime
    real_now: datetime
    locations: Mapping[UUID, Location]
    schedules: Mapping[UUID, Schedule]
    planned: list[dict[str, object]] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)

    @classmethod
    async def open(cls, session: WriteSession, leads: Sequence[Lead]) -> _Page:
        places = list({lead.location_id for lead in leads})
        now, real_now = await both_nows(session)
        return cls(
            session,
            now,
            real_now,
            await tenancy_repository.locations_by_id(session, places),
            await schedules(session, places),
        )

    def close(self, message: ScheduledMessage, status: str, code: str | None = None) -> None:
        """Write what became of the message's attempt."""
        sid = message.provider_message_id if status == "SENT" else None
        self.closings.append(Closing(message.id, message.attempt, status, sid, code))

    async def write(self) -> None:
        await repository.add_messages(self.session, self.planned)
        await repository.close_attempts(self.session, self.closings)


class Ledger:
    """Writes outcomes. Every method runs under the lead's lock, taken before the message's."""

    def __init__(self, leads: Leads, policy: DispatchPolicy) -> None:
        self._leads = leads
        self._policy = policy

    async def record(
        self, session: WriteSession, lead_id: UUID, message_id: UUID, attempt: int, outcome: Outcome
    ) -> MessageStatus | None:
        """Write `outcome` where this attempt still stands; None if somebody else has settled it."""
        opted_out = Result(lead_id, message_id, attempt, outcome).opted_out
        lead = await (locked_person if opted_out else locked)(session, lead_id)
        # Accepted after all, just before it would have been sent again.
        statuses = (*_OPEN, MessageStatus.SCHEDULED) if isinstance(outcome, Accepted) else _OPEN
        message = await repository.lock_message(session, message_id, attempt, statuses)
        if message is None:
            return None
        page = await _Page.open(session, [lead])
        await self._note(page, lead, message, outcome)
        await page.write()
        return MessageStatus(message.status)

    async def record_together(self, session: WriteSession, results: Sequence[Result]) -> dict[UUID, MessageStatus]:
        """Write those outcomes whose attempt still stands and whose lead nobody else holds; the others are left out.

        It waits for no lock, so it cannot come into a deadlock. Who opted out at the provider is left out too: that
        changes other leads.
        """
        together = {result.message_id: result for result in results if not result.opted_out}
        found = await repository.lock_sending(session, list(together))
        standing = [due for due in found if due.message.attempt == together[due.message.id].attempt]
        page = await _Page.open(session, [due.lead for due in standing])
        for due in standing:
            await self._note(page, due.lead, due.message, together[due.message.id].outcome)
        await page.write()
        return {due.message.id: MessageStatus(due.message.status) for due in standing}

    async def resend(self, session: WriteSession, message: ScheduledMessage) -> None:
        """The provider does not have a message of an unknown attempt: send it again, as a new attempt."""
        message.status, message.lease_until = MessageStatus.SCHEDULED, None
        message.resends += 1
        message.due_at = await app_now(session)
        message.decision = "Sent again: the provider has no trace of the attempt before"
        await repository.close_attempts(session, [Closing(message.id, message.attempt, "NOT_SENT", None, None)])

    async def after_touch(self, session: WriteSession, lead: Lead, number: int) -> None:
        """Plan what follows a touch that went out, failed or was skipped; after the last one the lead is lost."""
        page = await _Page.open(session, [lead])
        await self._after_touch(page, lead, number)
        await page.write()

    async def _note(self, page: _Page, lead: Lead, message: ScheduledMessage, outcome: Outcome) -> None:
        match outcome:
            case Accepted():
                await self._sent(page, lead, message, outcome)
            case ProviderRefused():
                await self._refused(page, lead, message, outcome)
            case ProviderBusy():
                await self._busy(page, lead, message, outcome.code, outcome.retry_after)
            case ProviderUnknown():
                self._unknown(page, message, outcome)
            case None:
                self._released(page, message)

    async def _after_touch(self, page: _Page, lead: Lead, number: int) -> None:
        if number == 1:
            lead.enrolled_at = page.now  # the days of the schedule count from the first contact
        location = page.locations.get(lead.location_id)
        if LeadStatus(lead.status) in ENDS_TOUCHES or location is None:
            return
        follows = next_touch(lead, location, page.schedules[location.id], after=number, now=page.now)
        if follows is not None:
            page.planned.append(follows)
        elif lead.touches_sent:
            await self._leads.move(page.session, lead, LeadStatus.LOST, "No answer after the last touch")

    async def _sent(self, page: _Page, lead: Lead, message: ScheduledMessage, accepted: Accepted) -> None:
        message.status, message.lease_until = MessageStatus.SENT, None
        again = message.sent_at is not None
        message.sent_at = page.now
        message.provider_message_id = accepted.provider_message_id or None
        message.segments = accepted.segments or message.segments
        message.error_code = None
        page.close(message, "SENT")
        lead.last_activity_at = page.now
        lead.first_contacted_at = lead.first_contacted_at or page.now
        detail = {"messageId": f"msg_{message.id}", "channel": message.channel, "touch": message.touch_number}
        page.session.record("message.sent", location_id=lead.location_id, lead_id=lead.id, detail=detail)
        if message.enrolment != lead.enrolment:
            return
        if lead.status == LeadStatus.NEW:
            await self._leads.move(page.session, lead, LeadStatus.CONTACTED, "First contact")
        if message.kind == MessageKind.TOUCH:
            lead.touches_sent += not again
            lead.touched |= 1 << (message.touch_number or 0)
        if message.leads_on:
            await self._after_touch(page, lead, message.touch_number or 0)

    async def _refused(self, page: _Page, lead: Lead, message: ScheduledMessage, refused: ProviderRefused) -> None:
        channel = Channel(message.channel)
        if refused.credentials:
            await repository.refuse_channel(page.session, channel, f"{refused.code}: {refused.message}")
            return await self._busy(page, lead, message, refused.code, self._policy.longest_backoff)
        if refused.opted_out:
            why = f"Opted out at the carrier ({refused.code})"
            await self._leads.opt_out(page.session, lead, ended(channel, None), why)
        await self._failed(page, lead, message, refused.code, refused.message)
        return None

    async def _failed(self, page: _Page, lead: Lead, message: ScheduledMessage, code: str, why: str) -> None:
        message.status, message.lease_until, message.error_code = MessageStatus.FAILED, None, code
        message.decision = f"Failed: {why}"
        page.close(message, "FAILED", code)
        detail = {"messageId": f"msg_{message.id}", "channel": message.channel, "code": code}
        page.session.record("message.failed", location_id=lead.location_id, lead_id=lead.id, detail=detail)
        if message.leads_on and message.enrolment == lead.enrolment:
            await self._after_touch(page, lead, message.touch_number or 0)

    async def _busy(self, page: _Page, lead: Lead, message: ScheduledMessage, code: str, wanted: float | None) -> None:
        if message.attempt >= self._policy.most_attempts:
            await self._failed(page, lead, message, code, f"the provider was busy {message.attempt} times ({code})")
            return
        seconds = max(wanted or 0, 2.0**message.attempt * 2) * random.uniform(1, 1.25)  # noqa: S311 - jitter
        message.status, message.lease_until, message.error_code = MessageStatus.SCHEDULED, None, code
        message.due_at = page.now + timedelta(seconds=min(seconds, self._policy.longest_backoff))
        message.decision = f"Waiting: the provider did not take it ({code}), attempt {message.attempt}"
        page.close(message, "NOT_SENT", code)

    def _unknown(self, page: _Page, message: ScheduledMessage, unknown: ProviderUnknown) -> None:
        message.status = MessageStatus.UNKNOWN
        message.lease_until = page.real_now + timedelta(seconds=self._policy.first_check)
        message.decision = f"Unknown whether it went out ({unknown.reason}): the provider is being asked"
        page.close(message, "UNKNOWN")

    def _released(self, page: _Page, message: ScheduledMessage) -> None:
        message.status, message.lease_until = MessageStatus.SCHEDULED, None
        message.decision = "Waiting: its turn did not come in time"
        page.close(message, "NOT_SENT")
