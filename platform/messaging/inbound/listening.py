"""What a customer's message does: who wrote, what they ask for, and what ends with it, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel, Lead, LeadSource, LeadStatus, MessageKind, ScheduledMessage
from lead_orchestrator.leads.service import (
    AddressHasher,
    Enquiry,
    Leads,
    address_kind,
    end_touches,
    locked,
    locked_person,
)
from lead_orchestrator.messaging.inbound import repository
from lead_orchestrator.messaging.inbound.models import Conversations, Heard
from lead_orchestrator.messaging.inbound.wishes import asks_for_price_or_time
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.opt_out import Intent, Reading, classify
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Listened", "Listening"]

# Single words that Twilio itself answers on every number, unless an account has switched that off.
_CARRIER_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
_CARRIER_STARTS = frozenset({"START", "YES", "UNSTOP"})
_SAME_NUMBER = (Channel.SMS, Channel.WHATSAPP)
_Words = Callable[[Location | None], str]


@dataclass(frozen=True)
class Listened:
    """What came of a message; `answer_due`: something to say to the lead waits to be sent."""

    outcome: str
    lead_id: UUID | None = None
    answer_due: bool = False


class Listening:
    """Opt-out first, whoever wrote and whatever else the message says."""

    def __init__(self, leads: Leads, hasher: AddressHasher, conversations: Conversations) -> None:
        self._leads = leads
        self._hasher = hasher
        self._conversations = conversations

    async def hear(self, session: WriteSession, heard: Heard, location_id: UUID | None) -> Listened:
        """Apply one message; `location_id` is that of the number it was sent to, None where the whole tenant has it."""
        reading = _reading(heard)
        lead = await self._whose(session, heard, location_id, reading)
        if lead is None:
            return await self._stranger(session, heard, reading)
        await self._keep(session, lead, heard)
        return await self._follow(session, lead, heard, reading)

    async def _whose(
        self, session: WriteSession, heard: Heard, location_id: UUID | None, reading: Reading
    ) -> Lead | None:
        """The locked lead who wrote, a new one where the tenant wants strangers to be leads."""
        known = await repository.whose(session, heard, location_id)
        if known is not None:
            lock = locked if reading.intent in (Intent.NONE, Intent.HELP) else locked_person
            return await lock(session, known)
        if reading.intent is not Intent.NONE and not reading.soft:
            return None  # who asks to be left alone, or for help, does not ask for a quote
        config = await repository.messaging_config(session)
        # Anybody can write anybody's address into a mail, and most mail to an open address is spam.
        if config is None or not config.strangers_become_leads or heard.channel is Channel.EMAIL:
            return None
        enquiry = Enquiry(
            location_id=location_id or await repository.first_location(session),
            source=LeadSource.WEB_CHAT,
            first_name=heard.name,
            phone=heard.phone,
            whatsapp_user_id=heard.user_id,
        )
        return (await self._leads.receive(session, enquiry)).lead

    async def _stranger(self, session: WriteSession, heard: Heard, reading: Reading) -> Listened:
        """Nothing is kept of somebody we do not know, but that they must not be written to."""
        address = heard.address or heard.user_id
        channels = [Channel.EMAIL] if heard.channel is Channel.EMAIL else list(_SAME_NUMBER)
        if not address or not (reading.stops or reading.intent is Intent.START):
            return Listened("from nobody we know")
        tenant = session.scope.tenant_id
        hashes = {
            channel: self._hasher.address_hash(tenant, address_kind(channel, address), address) for channel in channels
        }
        if reading.stops:
            await leads_repository.add_opt_outs(session, hashes, reading.why, await app_now(session))
            return Listened("opted out, of nobody we know")
        await leads_repository.remove_opt_outs(session, hashes)
        return Listened("opted in, of nobody we know")

    async def _keep(self, session: WriteSession, lead: Lead, heard: Heard) -> None:
        """Write it down: in the ledger, in the lead's conversation and in its history."""
        now = await app_now(session)
        lead.whatsapp_user_id = lead.whatsapp_user_id or heard.user_id
        lead.last_activity_at = now
        row = MessageLog(
            tenant_id=lead.tenant_id,
            location_id=lead.location_id,
            lead_id=lead.id,
            attempt=1,
            direction="INBOUND",
            channel=heard.channel,
            address=heard.address or heard.user_id or "",
            sender=heard.ours,
            subject=heard.subject,
            body=heard.text,
            status="RECEIVED",
            provider_message_id=heard.provider_id,
            at=now,
        )
        repository.add(session, row)
        await session.flush()
        chat = await self._conversations.hear(session, lead, heard.channel, heard.text, heard.provider_id)
        detail = {"messageId": f"log_{row.id}", "channel": heard.channel.value, "chatSessionId": f"chat_{chat}"}
        session.record("message.received", location_id=lead.location_id, lead_id=lead.id, detail=detail)

    async def _follow(self, session: WriteSession, lead: Lead, heard: Heard, reading: Reading) -> Listened:
        if reading.stops:
            return await self._stop(session, lead, heard, reading)
        if reading.intent is Intent.START and await self._start(session, lead, heard):
            due = not _answered_by_carrier(heard, _CARRIER_STARTS) and heard.channel is not Channel.EMAIL
            if due:
                await self._say(session, lead, heard.channel, MessageKind.CONFIRMATION, _welcome_back)
            return Listened("opted in again", lead.id, answer_due=due)
        if reading.intent is Intent.HELP:
            due = heard.answered is None
            if due:
                await self._say(session, lead, heard.channel, MessageKind.REPLY, _help)
            return Listened("asked for help", lead.id, answer_due=due)
        return await self._answered(session, lead, heard)

    async def _stop(self, session: WriteSession, lead: Lead, heard: Heard, reading: Reading) -> Listened:
        """Nothing more on any channel; one confirmation, and never on top of the carrier's own."""
        first = heard.channel not in lead.opted_out
        await self._leads.opt_out(session, lead, None, reading.why)
        await end_touches(session, lead, "The customer asked us to stop")
        due = first and not _answered_by_carrier(heard, _CARRIER_WORDS) and heard.channel is not Channel.EMAIL
        if due:
            await self._say(session, lead, heard.channel, MessageKind.CONFIRMATION, _goodbye, confirms_opt_out=True)
        return Listened("opted out", lead.id, answer_due=due)

    async def _start(self, session: WriteSession, lead: Lead, heard: Heard) -> bool:
        channels = [Channel.EMAIL] if heard.channel is Channel.EMAIL else _SAME_NUMBER
        return await self._leads.opt_in(session, lead, channels, "The customer asked to be written to again")

    async def _answered(self, session: WriteSession, lead: Lead, heard: Heard) -> Listened:
        hot = asks_for_price_or_time(heard.text)
        status = LeadStatus.HOT if hot else LeadStatus.ENGAGED
        # Who opted out and then writes is read by staff; only START brings messages back.
        if lead.status != LeadStatus.OPTED_OUT:
            await self._leads.move(session, lead, status, "The customer answered")
            await end_touches(session, lead, "The customer answered")
        return Listened("asks for a price or a time" if hot else "answered", lead.id)

    async def _say(
        self, session: WriteSession, lead: Lead, channel: Channel, kind: MessageKind, words: _Words, **fields: bool
    ) -> None:
        location = await tenancy_repository.location(session, lead.location_id)
        now = await app_now(session)
        message = ScheduledMessage(
            tenant_id=lead.tenant_id,
            location_id=lead.location_id,
            lead_id=lead.id,
            kind=kind,
            channel=channel,
            enrolment=lead.enrolment,
            body=words(location),
            due_at=now,
            created_at=now,
            **fields,
        )
        repository.add(session, message)


def _reading(heard: Heard) -> Reading:
    """What the provider has acted on stands, else what the words say."""
    if heard.answered is not None:
        return Reading(Intent(heard.answered), "The provider took it for a keyword")
    return classify(heard.text)


def _answered_by_carrier(heard: Heard, words: frozenset[str]) -> bool:
    by_word = heard.channel is Channel.SMS and heard.text.strip().upper() in words
    return heard.answered is not None or by_word


def _shop(location: Location | None) -> str:
    return location.name if location else "us"


def _goodbye(location: Location | None) -> str:
    return f"You will get no more messages from {_shop(location)}. If that is not what you meant, reply START."


def _welcome_back(location: Location | None) -> str:
    return f"You will get messages from {_shop(location)} again. Reply STOP to end them, HELP for help."


def _help(location: Location | None) -> str:
    where = [part for part in (location.phone, location.address) if part] if location else []
    contact = f" Reach us at {', '.join(where)}." if where else ""
    return f"This is {_shop(location)}, about your quote.{contact} Just reply to talk to us, or reply STOP to get no more messages."
