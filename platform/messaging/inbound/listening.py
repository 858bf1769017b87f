"""What a customer's message does: who wrote, what they ask for, and what ends with it, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel, Lead, LeadSource, MessageKind
from lead_orchestrator.leads.opt_outs import AddressHasher, address_kind
from lead_orchestrator.leads.service import Enquiry, Leads, end_touches, locked, locked_person
from lead_orchestrator.messaging.inbound import repository
from lead_orchestrator.messaging.inbound.answered import customer_answered
from lead_orchestrator.messaging.inbound.models import Conversations, Heard
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.opt_out import Intent, Reading, classify
from lead_orchestrator.messaging.opt_out_replies import (
    CONFIRM_WITHIN,
    Answer,
    Change,
    Situation,
    answer,
    answered_by_carrier,
    same_address,
)
from lead_orchestrator.messaging.planned import Planned, plan
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Listened", "Listening"]


@dataclass(frozen=True)
class Listened:
    """What came of a message; `answer_due`: something to say to the lead waits to be sent."""

    outcome: str
    lead_id: UUID | None = None
    answer_due: bool = False


class Listening:
    """Opt-out first, whoever wrote and whatever else the message says."""

    def __init__(self, leads: Leads, hasher: AddressHasher, conversations: Conversations, links: LinkSigner) -> None:
        self._leads = leads
        self._hasher = hasher
        self._conversations = conversations
        self._links = links

    async def hear(
        self, session: WriteSession, heard: Heard, location_id: UUID | None, waited: timedelta = timedelta()
    ) -> Listened:
        """Apply one message that reached us `waited` ago.

        `location_id` is that of the number it was sent to, None where the whole tenant has it.
        """
        reading = _reading(heard)
        lead = await self._whose(session, heard, location_id, reading)
        if lead is None:
            return await self._stranger(session, heard, reading)
        await self._keep(session, lead, heard, answerable=reading.intent is Intent.NONE)
        return await self._follow(session, lead, heard, reading, waited)

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
        config = await tenancy_repository.messaging_config(session)
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
        if not address or not (reading.stops or reading.intent is Intent.START):
            return Listened("from nobody we know")
        tenant = session.scope.tenant_id
        hashes = {
            channel: self._hasher.address_hash(tenant, address_kind(channel, address), address)
            for channel in same_address(heard.channel)
        }
        if reading.stops:
            await leads_repository.add_opt_outs(session, hashes, reading.why, await app_now(session))
            return Listened("opted out, of nobody we know")
        await leads_repository.remove_opt_outs(session, hashes)
        return Listened("opted in, of nobody we know")

    async def _keep(self, session: WriteSession, lead: Lead, heard: Heard, *, answerable: bool) -> None:
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
        chat = await self._conversations.hear(
            session, lead, heard.channel, heard.text, heard.provider_id, answerable=answerable
        )
        detail = {"messageId": f"log_{row.id}", "channel": heard.channel.value, "chatSessionId": f"chat_{chat}"}
        session.record("message.received", location_id=lead.location_id, lead_id=lead.id, detail=detail)

    async def _follow(
        self, session: WriteSession, lead: Lead, heard: Heard, reading: Reading, waited: timedelta
    ) -> Listened:
        situation = Situation(
            heard.channel,
            opted_out=heard.channel in lead.opted_out,
            carrier_answered=answered_by_carrier(reading, heard.channel, heard.text, heard.answered),
            waited=waited,
        )
        due = answer(reading, situation)
        outcome = await self._change(session, lead, reading, due)
        if outcome is None:
            return Listened(await customer_answered(session, self._leads, lead, heard.text), lead.id)
        if due.variant is not None:
            until = await app_now(session) + CONFIRM_WITHIN - waited if due.change is Change.OPT_OUT else None
            said = Planned(
                MessageKind.REPLY,
                variant=due.variant,
                channels=(heard.channel,),
                language=reading.language,
                confirms_opt_out_before=until,
            )
            await plan(session, lead, said, self._links)
        return Listened(outcome, lead.id, answer_due=due.variant is not None)

    async def _change(self, session: WriteSession, lead: Lead, reading: Reading, due: Answer) -> str | None:
        """Do what the rules say; None for an ordinary answer."""
        if due.change is Change.OPT_OUT:
            await self._leads.opt_out(session, lead, due.channels, reading.why)
            await end_touches(session, lead, "The customer asked us to stop")
            return "opted out"
        if due.change is Change.RESTORE:
            await self._leads.opt_in(session, lead, due.channels, "The customer asked to be written to again")
            return "opted in again"
        return "asked for help" if reading.intent is Intent.HELP else None


def _reading(heard: Heard) -> Reading:
    """What the provider has acted on stands, else what the words say."""
    if heard.answered is not None:
        why = "The provider took it for a keyword"
        return replace(classify(heard.text), intent=Intent(heard.answered), why=why, soft=False)
    return classify(heard.text)
