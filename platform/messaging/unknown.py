"""Messages of which nobody knows whether they went out: asked about, never resent blindly."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.integrations.providers import Accepted, ProviderError
from lead_orchestrator.integrations.twilio.client import TwilioMessage
from lead_orchestrator.leads.models import Channel, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.service import locked
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.delivery import Account, Delivery, Letter
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger
from lead_orchestrator.messaging.mail import Letterhead
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["Resolver"]

_log = get_logger(__name__)

_SKEW = timedelta(minutes=2)  # by how much the provider's clock may be behind ours
_BATCH = 20
_ROUNDS = 5  # of one job, which must not outlast its time-out


@dataclass(frozen=True)
class _Question:
    """A message of which nobody knows, its last attempt, and when (real time) the provider was asked at the earliest."""

    message: ScheduledMessage
    attempt: MessageLog
    asked_at: datetime


class Resolver:
    """Finds out about one tenant's unknown messages.

    Twilio is asked for texts to that number with that wording which no other row owns. Found: it was sent. Absent after
    the settle time: one resend, as a new attempt; a few, where each sender itself died. SendGrid and WhatsApp cannot be
    asked: their events tell (messaging.inbound.statuses), or after a while staff decides.
    """

    def __init__(
        self, tenancy: Tenancy, ledger: Ledger, delivery: Delivery, secrets: SecretOpener, policy: DispatchPolicy
    ) -> None:
        self._tenancy = tenancy
        self._ledger = ledger
        self._delivery = delivery
        self._secrets = secrets
        self._policy = policy

    async def resolve(self, tenant_id: UUID) -> int:
        """Ask about the messages whose check is due; returns how many were settled."""
        settled = 0
        for _ in range(_ROUNDS):
            asked, found = await self._round(tenant_id)
            settled += found
            if asked < _BATCH:
                break
        return settled

    async def _round(self, tenant_id: UUID) -> tuple[int, int]:
        """How many were asked about, all at once, and how many of them were settled."""
        scope = Scope.service(tenant_id, "resolver")
        async with self._tenancy.write(scope) as session:
            await repository.expire_leases(session)
            messages = await repository.claim_unknown(session, _BATCH, timedelta(seconds=self._policy.call))
            asked_at = await real_now(session)
            questions = [
                _Question(message, await repository.attempt_of(session, message.id, message.attempt), asked_at)
                for message in messages
            ]
            config = await tenancy_repository.messaging_config(session) if messages else None
        if config is None:
            return 0, 0
        account = Account.of(config, self._secrets)
        settled = sum(await asyncio.gather(*(self._settle(scope, account, question) for question in questions)))
        return len(questions), settled

    async def _settle(self, scope: Scope, account: Account, question: _Question) -> bool:
        message, attempt = question.message, question.attempt
        if attempt.channel != Channel.SMS:
            return await self._await_events(scope, question)
        try:
            found = await self._delivery.find(account, _letter(message, attempt), attempt.started_at - _SKEW)
        except ProviderError:
            return False  # asked again after the pause the claim set
        async with self._tenancy.write(scope) as session:
            return await self._judge(session, question, found)

    async def _await_events(self, scope: Scope, question: _Question) -> bool:
        """The provider cannot be asked, but its events name the message; without one in time staff is to look at it."""
        message, attempt = question.message, question.attempt
        ended = attempt.finished_at or attempt.started_at + timedelta(seconds=self._policy.last_call)
        left = ended + timedelta(seconds=self._policy.events) - question.asked_at
        wait = left if left > timedelta() else None
        words = "the provider's events will tell" if wait else "no event told, staff decides"
        async with self._tenancy.write(scope) as session:
            why = f"Unknown whether it went out: {words}"
            await repository.postpone_check(session, message.id, message.attempt, wait, why)
        return False

    async def _judge(self, session: WriteSession, question: _Question, found: Sequence[TwilioMessage]) -> bool:
        message, attempt = question.message, question.attempt
        await locked(session, attempt.lead_id)
        owned = await repository.owned_provider_ids(session, [text.sid for text in found])
        ours = [text for text in found if text.sid not in owned]
        if ours:
            answer = Accepted(ours[-1].sid, ours[-1].status, None)
            status = await self._ledger.record(session, attempt.lead_id, message.id, message.attempt, answer)
            _log.info("unknown_resolved", message_id=str(message.id), found=True)
            return status is not None
        # Twilio's word of before the settle time is not believed, even if it reached us after.
        early = self._settled_at(attempt) - question.asked_at
        if early > timedelta():
            await repository.postpone_check(session, message.id, message.attempt, early, message.decision or "")
            return False
        return await self._absent(session, message, attempt)

    def _settled_at(self, attempt: MessageLog) -> datetime:
        """From when on the provider's silence means that it has no such message: its call has ended long before."""
        ended = attempt.finished_at or attempt.started_at + timedelta(seconds=self._policy.last_call)
        return ended + timedelta(seconds=self._policy.settle)

    async def _absent(self, session: WriteSession, message: ScheduledMessage, attempt: MessageLog) -> bool:
        # A sender that died before it noted any answer says nothing about the provider: that alone does not need staff.
        most = 1 if attempt.finished_at else self._policy.most_attempts
        if message.resends >= most:
            why = "Unknown whether it went out, twice: staff decides"
            await repository.postpone_check(session, message.id, message.attempt, None, why)
            return False
        current = await repository.lock_message(session, message.id, message.attempt, [MessageStatus.UNKNOWN])
        if current is None:
            return False
        await self._ledger.resend(session, current)
        _log.info("unknown_resolved", message_id=str(message.id), found=False)
        return True


def _letter(message: ScheduledMessage, attempt: MessageLog) -> Letter:
    channel = Channel(attempt.channel)
    return Letter(message.id, attempt.attempt, channel, attempt.address, None, attempt.body, Letterhead(), timedelta())
