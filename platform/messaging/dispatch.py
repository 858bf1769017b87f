"""Sending what is due: claim and decide, commit the intent, call, record. No transaction is open during a call."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.leads.models import Channel, Lead, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.delivery import Account, Delivery, Letter
from lead_orchestrator.messaging.facts import Gathered, gather
from lead_orchestrator.messaging.gate import Decision, Defer, Send, Suppress, decide
from lead_orchestrator.messaging.invites import Invite
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger, Outcome, Result
from lead_orchestrator.messaging.mail import Letterhead
from lead_orchestrator.messaging.places import Held, Places
from lead_orchestrator.messaging.recorder import Recorder
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession
from lead_orchestrator.touches.service import values, with_footer, wording
from lead_orchestrator.touches.templates import parameters, segments

__all__ = ["Budget", "Dispatched", "Dispatcher", "Grant"]

_log = get_logger(__name__)

_AT_ONCE = 4  # calls of a batch that begin in one turn of the event loop: a millisecond


@dataclass
class Dispatched:
    """How one batch went: messages by what became of them; `full` when more may be due, `wait` until the budget has more."""

    outcomes: Counter[str] = field(default_factory=Counter)
    claimed: int = 0
    full: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class Grant:
    """How many calls may be made now and, if none, in how many seconds one may."""

    count: int
    wait: float


class Budget(Protocol):
    """How fast one tenant's messages may be handed over, by all processes together."""

    async def take(self, tenant_id: UUID, wanted: int) -> Grant: ...

    async def give_back(self, tenant_id: UUID, count: int) -> None: ...


@dataclass(frozen=True)
class _Intent:
    """A message that may be sent now; its intent is committed."""

    lead_id: UUID
    letter: Letter
    attempt: Mapping[str, object] = field(repr=False)
    """The row of the ledger."""


class Dispatcher:
    """Sends one tenant's due messages. Any number of dispatchers may run at once; `budget`, if somebody sets it, holds for all."""

    def __init__(
        self,
        tenancy: Tenancy,
        ledger: Ledger,
        recorder: Recorder,
        delivery: Delivery,
        secrets: SecretBox,
        links: LinkSigner,
        policy: DispatchPolicy,
    ) -> None:
        self._tenancy = tenancy
        self._ledger = ledger
        self._recorder = recorder
        self._delivery = delivery
        self._secrets = secrets
        self._links = links
        self._policy = policy
        self._places = Places(policy.share)
        self.budget: Budget | None = None

    async def dispatch(
        self, tenant_id: UUID, lead_id: UUID | None = None, *, more: Callable[[], Awaitable[None]] | None = None
    ) -> Dispatched:
        """Send one batch of what is due, of one lead only and at once if told.

        A batch is as large as calls run at once. `more` is called as soon as it is claimed if more may be due, so that
        batches overlap; when the tenant has as many calls under way as it may, the first who comes waits for its turn
        and the next ones leave it to that one.
        """
        if lead_id is not None:
            return await self._batch(tenant_id, lead_id, self._policy.batch)
        async with self._places.held(tenant_id, self._policy.batch) as held:
            return Dispatched() if held is None else await self._granted(tenant_id, held, more)

    async def _granted(self, tenant_id: UUID, held: Held, more: Callable[[], Awaitable[None]] | None) -> Dispatched:
        """A batch of as many as the budget has."""
        if self.budget is None:
            return await self._batch(tenant_id, None, self._policy.batch, held, more)
        grant = await self.budget.take(tenant_id, self._policy.batch)
        if not grant.count:
            return Dispatched(wait=grant.wait)
        return await self._batch(tenant_id, None, grant.count, held, more)

    async def _batch(
        self,
        tenant_id: UUID,
        lead_id: UUID | None,
        most: int,
        held: Held | None = None,
        more: Callable[[], Awaitable[None]] | None = None,
    ) -> Dispatched:
        scope = Scope.service(tenant_id, "dispatch")
        result = Dispatched()
        claimed_at = time.monotonic()
        async with self._tenancy.write(scope) as session:
            due = await repository.claim_due(session, most, lead_id)
            result.claimed = len(due)
            account, intents = await self._decide(session, due, result) if due else (None, [])
        result.full = len(due) == most and bool(intents or result.outcomes)
        if held is not None:
            held.keep(len(intents))
        if result.full and more is not None:
            await more()
        if account is not None:
            sending = (
                self._send(scope, account, intent, claimed_at, held, turns=number // _AT_ONCE)
                for number, intent in enumerate(intents)
            )
            result.outcomes.update(status for status in await asyncio.gather(*sending) if status)
        if held is not None and self.budget is not None and len(intents) < most:
            await self.budget.give_back(tenant_id, most - len(intents))  # no call waits for it
        return result

    async def _decide(
        self, session: WriteSession, due: Sequence[repository.Due], result: Dispatched
    ) -> tuple[Account | None, list[_Intent]]:
        gathered = await gather(session, due, self._secrets)
        if gathered is None:
            return None, []
        lease_until = gathered.real_now + timedelta(seconds=self._policy.lease)
        intents: list[_Intent] = []
        taken: set[str] = set()
        for item in due:
            person = {str(item.lead.id), *filter(None, item.lead.addresses.values())}
            if item.lead.id in gathered.busy or person & taken:
                continue  # one message per person at a time; this one stays due
            taken |= person
            decision = _within_limit(decide(gathered.facts[item.message.id]), item, gathered, len(intents))
            intent = await self._follow(session, item, gathered, lease_until, decision, result)
            intents += [intent] if intent else []
        await repository.add_attempts(session, [intent.attempt for intent in intents])
        return gathered.account, intents

    async def _follow(
        self,
        session: WriteSession,
        due: repository.Due,
        gathered: Gathered,
        lease_until: datetime,
        decision: Decision,
        result: Dispatched,
    ) -> _Intent | None:
        message = due.message
        message.decision = decision.decision
        match decision:
            case Send():
                return await self._intend(session, due, gathered, lease_until, decision, result)
            case Defer():
                message.due_at = decision.until
                result.outcomes["DEFERRED"] += 1
            case Suppress():
                result.outcomes[await self._suppress(session, due, ends_touches=decision.ends_touches)] += 1
        return None

    async def _suppress(self, session: WriteSession, due: repository.Due, *, ends_touches: bool) -> MessageStatus:
        message, lead = due.message, due.lead
        paused = message.kind == MessageKind.TOUCH and lead.touches_paused
        status = MessageStatus.CANCELLED if paused else MessageStatus.SUPPRESSED  # `resume` finds the cancelled
        message.status = status
        detail = {"messageId": f"msg_{message.id}", "touch": message.touch_number}
        session.record("message.suppressed", location_id=lead.location_id, lead_id=lead.id, detail=detail)
        is_current_touch = message.leads_on and message.enrolment == lead.enrolment
        if is_current_touch and not ends_touches:
            await self._ledger.after_touch(session, lead, message.touch_number or 0)
        return status

    async def _intend(
        self,
        session: WriteSession,
        due: repository.Due,
        gathered: Gathered,
        lease_until: datetime,
        send: Send,
        result: Dispatched,
    ) -> _Intent | None:
        message, lead = due.message, due.lead
        try:
            subject, text, placed = self._words(message, lead, gathered, send)
        except BadInputError as error:
            message.decision = f"Not sent: its template cannot be used ({error.message})"
            result.outcomes[await self._suppress(session, due, ends_touches=False)] += 1
            return None
        message.subject, message.body, message.channel = subject, text, send.channel
        message.segments = segments(text)[1] if send.channel is Channel.SMS else None
        message.status, message.attempt = MessageStatus.SENDING, message.attempt + 1
        message.lease_until = lease_until
        message.send_before = send.before
        address = gathered.facts[message.id].addresses[send.channel] or ""
        attempt = {
            "tenant_id": lead.tenant_id,
            "location_id": lead.location_id,
            "lead_id": lead.id,
            "message_id": message.id,
            "attempt": message.attempt,
            "direction": "OUTBOUND",
            "channel": send.channel,
            "address": address,
            "sender": gathered.account.sender(send.channel),
            "subject": subject,
            "body": text,
            "status": "SENDING",
            "at": gathered.now,
        }
        shop = gathered.locations[lead.location_id]
        head = Letterhead.of(lead, shop, self._links) if send.channel is Channel.EMAIL else Letterhead()
        expires_in = send.before - gathered.now
        letter = Letter(
            message.id,
            message.attempt,
            send.channel,
            address,
            subject,
            text,
            head,
            expires_in,
            send.template,
            placed,
            Invite.of_json(message.invite) if message.invite else None,
        )
        return _Intent(lead.id, letter, attempt)

    def _words(
        self, message: ScheduledMessage, lead: Lead, gathered: Gathered, send: Send
    ) -> tuple[str | None, str, Sequence[str]]:
        """Subject, text, and the values of the placeholders of WhatsApp's template, if one is sent."""
        location = gathered.locations[lead.location_id]
        filled = values(lead, location, self._links)
        if message.kind != MessageKind.TOUCH:
            text = message.body or ""
            return message.subject, with_footer(text, filled) if send.channel is Channel.EMAIL else text, ()
        touch = gathered.schedules[lead.location_id].get(message.touch_number or 1)
        if touch is None:
            raise BadInputError(f"the schedule has no touch {message.touch_number} any more")
        subject, text = wording(touch, send.channel, filled)
        return subject, text, parameters(touch.body, filled) if send.template else ()

    async def _send(
        self, scope: Scope, account: Account, intent: _Intent, claimed_at: float, held: Held | None, *, turns: int
    ) -> str | None:
        for _ in range(
            turns
        ):  # whatever else the process has to do comes in between: a batch holds up nobody else's message
            await asyncio.sleep(0)
        letter = intent.letter
        outcome = await self._call(account, letter, claimed_at)
        if held is not None:
            held.give_back()
        status = await self._recorder.record(scope, Result(intent.lead_id, letter.message_id, letter.attempt, outcome))
        if status == MessageStatus.SENT and letter.channel in account.refused:
            await self._accept(scope, letter.channel)
        code = outcome.code if isinstance(outcome, ProviderRefused | ProviderBusy) else None
        _log.info(
            "message_sent" if status == MessageStatus.SENT else "message_not_sent",
            message_id=str(letter.message_id),
            lead_id=str(intent.lead_id),
            channel=letter.channel.value,
            status=status,
            code=code,
        )
        return status

    async def _accept(self, scope: Scope, channel: Channel) -> None:
        """The provider that refused the tenant's account takes its messages again."""
        async with self._tenancy.write(scope) as session:
            await repository.refuse_channel(session, channel, None)

    async def _call(self, account: Account, letter: Letter, claimed_at: float) -> Outcome:
        if time.monotonic() - claimed_at > self._policy.call:
            return None
        try:
            return await self._delivery.send(account, letter, timeout=self._policy.call)
        except (ProviderRefused, ProviderBusy, ProviderUnknown) as answer:
            return answer
        except Exception as defect:  # noqa: BLE001 - it may have happened after the request left
            _log.exception("send_failed", message_id=str(letter.message_id))
            return ProviderUnknown(type(defect).__name__)


def _within_limit(decision: Decision, due: repository.Due, gathered: Gathered, taken: int) -> Decision:
    """What the day's limit makes of a decision when `taken` messages of the batch go out already. The one message that
    confirms an opt-out goes out all the same."""
    if not isinstance(decision, Send) or gathered.left_today is None or gathered.tomorrow is None:
        return decision
    if taken < gathered.left_today or due.message.confirms_opt_out:
        return decision
    return Defer(gathered.tomorrow, "Waiting: the franchise has sent as many messages today as its limit allows")
