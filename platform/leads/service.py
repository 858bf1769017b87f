"""The life of a lead: who asked, where it stands, what ends its touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads import repository
from lead_orchestrator.leads.consents import ConsentGiven, note_consents
from lead_orchestrator.leads.models import (
    Channel,
    Lead,
    LeadSource,
    LeadStatus,
    MessageKind,
    MessageStatus,
    ScheduledMessage,
)
from lead_orchestrator.leads.opt_outs import ALL_CHANNELS, AddressHasher, OptOuts, reachable
from lead_orchestrator.leads.standing import BY_STAFF, became, ended_by, note_choice, stand
from lead_orchestrator.leads.status import CLOSED, ENDS_TOUCHES, may_become
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Enquiry", "Leads", "Received", "end_touches", "locked", "locked_person"]

AFTER_WELCOME = timedelta(days=1)

_BLANKS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "whatsapp_user_id",
    "time_zone",
    "postal_code",
    "vehicle",
    "survey",
)


@dataclass(frozen=True)
class Enquiry:
    """A person asks at a location; addresses are already normalised.

    `welcomed`: they get a welcome at once, so that the touches begin a day later.
    """

    location_id: UUID
    source: LeadSource
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    whatsapp_user_id: str | None = None
    time_zone: str | None = None
    postal_code: str | None = None
    vehicle: Mapping[str, object] | None = None
    survey: Mapping[str, object] | None = None
    external_order_id: str | None = None
    consents: Sequence[ConsentGiven] = field(default_factory=tuple)
    welcomed: bool = False


@dataclass(frozen=True)
class Received:
    """`created`: there was no lead of this person; `enrolled`: its touches start from the first now."""

    lead: Lead
    created: bool
    enrolled: bool


async def end_touches(session: WriteSession, lead: Lead, reason: str) -> int:
    """Cancel the touches that are still to come, in the transaction of what ended them."""
    return await repository.cancel_open_messages(session, lead.id, reason, kinds=[MessageKind.TOUCH])


class Leads:
    """The rules of a lead's life, shared by webhooks, jobs, GraphQL and REST."""

    def __init__(self, hasher: AddressHasher) -> None:
        self._opt_outs = OptOuts(hasher)

    async def receive(self, session: WriteSession, enquiry: Enquiry) -> Received:
        """Find or make the lead of the person who asks.

        The same person at the same location is one lead. While it is open a further enquiry fills blanks and changes
        nothing; once it was won or lost, a further enquiry enrols it anew.
        """
        now = await app_now(session)
        addresses = (enquiry.phone, enquiry.email, enquiry.whatsapp_user_id)
        await repository.lock_names(session, [f"{enquiry.location_id}:{address}" for address in addresses if address])
        lead = await repository.find_person(session, enquiry.location_id, *addresses)
        if lead is None:
            lead = _new_lead(session, enquiry, now)
            created = enrolled = True
        else:
            created, enrolled = False, LeadStatus(lead.status) in CLOSED
            _fill_blanks(lead, enquiry, now)
            if enrolled:
                _enrol_again(lead, now)
        await session.flush()
        lead.opted_out = await self._opt_outs.refusing(session, lead)
        note_consents(session, lead, enquiry.consents, now)
        became(session, lead, "lead.created" if created else "lead.asked_again", {"source": enquiry.source})
        if enrolled:
            await self._start(session, lead, now, now + AFTER_WELCOME if enquiry.welcomed else now)
        return Received(lead, created, enrolled)

    async def add(self, session: WriteSession, enquiry: Enquiry) -> Received:
        """As `receive`, for what staff types in: with a line in the audit trail."""
        received = await self.receive(session, enquiry)
        action = "lead.added" if received.created else "lead.asked_again"
        session.audit(action, target=f"lead_{received.lead.id}")
        return received

    async def move(self, session: WriteSession, lead: Lead, status: LeadStatus, reason: str) -> bool:
        """Move a locked lead by what happened to it; what the table does not allow is left as it is and answers False."""
        if lead.status == status or not may_become(LeadStatus(lead.status), status):
            return False
        await self._set(session, lead, status, reason)
        return True

    async def set_status(self, session: WriteSession, lead: Lead, status: LeadStatus) -> None:
        """Move a locked lead as staff wants it, whatever the table says, with a line in the audit trail."""
        if lead.status != status:
            note_choice(session, lead, status)
            await self._set(session, lead, status, BY_STAFF)

    async def correct(self, session: WriteSession, lead: Lead, changes: Mapping[str, str | None]) -> None:
        """Overwrite names or addresses of a locked lead; a new address brings its own opt-outs."""
        changed = [name for name, value in changes.items() if getattr(lead, name) != value]
        if not changed:
            return
        if not changes.get("phone", lead.phone) and not changes.get("email", lead.email):
            raise BadInputError("a lead needs a phone number or a mail address: give one of them", field=("phone",))
        for name in changed:
            setattr(lead, name, changes[name])
        lead.opted_out = await self._opt_outs.refusing(session, lead)
        session.audit("lead.corrected", target=f"lead_{lead.id}", detail={"fields": sorted(changed)})
        became(session, lead, "lead.updated", {"fields": sorted(changed)})
        if not reachable(lead):
            await self.move(session, lead, LeadStatus.OPTED_OUT, "This address opted out before")

    async def pause(self, session: WriteSession, lead: Lead, reason: str) -> None:
        """Stop the touches of a locked lead until `resume`."""
        if lead.touches_paused:
            return
        lead.touches_paused = True
        await end_touches(session, lead, reason)
        session.audit("touches.paused", target=f"lead_{lead.id}")
        became(session, lead, "touches.paused", {"reason": reason})

    async def resume(self, session: WriteSession, lead: Lead) -> None:
        """Go on with the touches of a locked lead: what fell due meanwhile goes out once, as soon as the gate allows.

        Raises:
            BadInputError: the lead's status ended its touches.
        """
        if LeadStatus(lead.status) in ENDS_TOUCHES:
            message = f"the lead is {lead.status}: its touches have ended, set it to CONTACTED first"
            raise BadInputError(message, code="TOUCHES_ENDED")
        touch = await repository.paused_touch(session, lead)
        if not lead.touches_paused and touch is None:
            return
        lead.touches_paused = False
        now = await app_now(session)
        if touch is not None:
            touch.status, touch.decision = MessageStatus.SCHEDULED, "Resumed by staff"
            touch.due_at = max(touch.due_at, now)
        session.audit("touches.resumed", target=f"lead_{lead.id}")
        became(session, lead, "touches.resumed", None)

    async def opt_out(self, session: WriteSession, lead: Lead, channels: Iterable[Channel] | None, reason: str) -> None:
        """Never write to this person's addresses on `channels` (None: on all) again, whichever lead they belong to.

        The lead is locked with `locked_person`, else two opt-outs of one address may wait for each other.
        """
        wanted = tuple(channels) if channels is not None else ALL_CHANNELS
        now = await app_now(session)
        hashes = await self._opt_outs.add(session, lead, wanted, reason, now)
        for other in await repository.with_address(session, lead.phone, lead.email, lead.whatsapp_user_id):
            mine = self._opt_outs.hashes(session, other, wanted)
            hit = {channel for channel, value in mine.items() if hashes.get(channel) == value}
            await self._opted_out(session, other, hit, reason)

    async def refuse(self, session: WriteSession, lead: Lead, channel: Channel | None, reason: str) -> None:
        """As `opt_out`, because staff says so: with a line in the audit trail."""
        await self.opt_out(session, lead, [channel] if channel else None, reason)
        detail = {"channels": [channel.value] if channel else [one.value for one in ALL_CHANNELS]}
        session.audit("lead.opted_out", target=f"lead_{lead.id}", detail=detail)

    async def opt_in(
        self,
        session: WriteSession,
        lead: Lead,
        channels: Iterable[Channel],
        reason: str,
        *,
        consents: Sequence[ConsentGiven] = (),
    ) -> bool:
        """Write to this person's addresses on `channels` again; False if they had not opted out.

        The lead is locked with `locked_person`. What opted out on other channels stays so; `consents` go into the ledger.
        """
        hashes = await self._opt_outs.remove(session, lead, channels)
        if hashes is None:
            return False
        note_consents(session, lead, consents, await app_now(session))
        for other in await repository.with_address(session, lead.phone, lead.email, lead.whatsapp_user_id):
            await self._opted_in(session, other, hashes, reason)
        return True

    async def before_erasure(self, session: WriteSession, lead: Lead) -> None:
        """Keep hashes of the locked person's addresses before its rows are deleted.

        Else the next poll of the CRM, which still has the order, would make a new lead of it and write to it.
        """
        await self.opt_out(session, lead, None, "Erased at the person's request")
        await repository.mark_erased(
            session, self._opt_outs.hashes(session, lead, ALL_CHANNELS), await app_now(session)
        )

    async def erased_since(self, session: WriteSession, enquiry: Enquiry, asked_at: datetime) -> bool:
        """Whether the person was erased after they asked this, by any of their addresses."""
        person = Lead(phone=enquiry.phone, email=enquiry.email, whatsapp_user_id=enquiry.whatsapp_user_id)
        hashes = self._opt_outs.hashes(session, person, ALL_CHANNELS)
        return await repository.erased_after(session, hashes, asked_at)

    async def _opted_in(self, session: WriteSession, lead: Lead, hashes: Mapping[Channel, bytes], reason: str) -> None:
        own = self._opt_outs.hashes(session, lead, ALL_CHANNELS)
        back = {channel for channel, value in hashes.items() if own.get(channel) == value} & set(lead.opted_out)
        if not back:
            return
        lead.opted_out = sorted(set(lead.opted_out) - back)
        became(session, lead, "lead.opted_in", {"channels": sorted(back)})
        if lead.status == LeadStatus.OPTED_OUT and reachable(lead):
            await self.move(session, lead, LeadStatus.ENGAGED, reason)

    async def not_reached(self, session: WriteSession, lead: Lead) -> None:
        """A locked lead whose only message so far did not arrive was not contacted after all."""
        if lead.status != LeadStatus.CONTACTED:
            return
        lead.status = LeadStatus.NEW
        if lead.enrolment == 1:
            lead.first_contacted_at = None
        became(session, lead, "lead.status", {"from": LeadStatus.CONTACTED.value, "to": LeadStatus.NEW.value})

    async def _opted_out(self, session: WriteSession, lead: Lead, channels: set[Channel], reason: str) -> None:
        if not channels - {Channel(channel) for channel in lead.opted_out}:
            return
        lead.opted_out = sorted({*lead.opted_out, *channels})
        became(session, lead, "lead.opted_out", {"channels": sorted(channels)})
        if not reachable(lead):
            await self.move(session, lead, LeadStatus.OPTED_OUT, reason)

    async def _set(self, session: WriteSession, lead: Lead, status: LeadStatus, reason: str) -> None:
        stand(session, lead, status)
        lead.last_activity_at = await app_now(session)
        if status in ENDS_TOUCHES:
            await end_touches(session, lead, ended_by(reason, status))

    async def _start(self, session: WriteSession, lead: Lead, now: datetime, due_at: datetime) -> None:
        if not reachable(lead) and lead.opted_out:
            await self.move(session, lead, LeadStatus.OPTED_OUT, "This address opted out before")
            return
        first = ScheduledMessage(
            tenant_id=lead.tenant_id,
            location_id=lead.location_id,
            lead_id=lead.id,
            kind=MessageKind.TOUCH,
            channel=Channel.SMS if lead.phone else Channel.EMAIL,
            enrolment=lead.enrolment,
            touch_number=1,
            due_at=due_at,
            created_at=now,
        )
        repository.add(session, first)


async def locked(session: WriteSession, lead_id: UUID) -> Lead:
    """The lead, locked.

    Raises:
        NotFoundError: there is none in this scope.
    """
    lead = await repository.get_for_update(session, lead_id)
    if lead is None:
        raise NotFoundError(f"there is no lead lead_{lead_id}")
    return lead


async def locked_person(session: WriteSession, lead_id: UUID) -> Lead:
    """As `locked`, with every lead of the same addresses, in one order: for an opt-out, which changes them all.

    Raises:
        NotFoundError: there is none in this scope.
    """
    lead = await repository.get(session, lead_id)
    if lead is not None:
        await repository.with_address(session, lead.phone, lead.email, lead.whatsapp_user_id)
    return await locked(session, lead_id)


def _new_lead(session: WriteSession, enquiry: Enquiry, now: datetime) -> Lead:
    lead = Lead(
        tenant_id=session.scope.tenant_id,
        location_id=enquiry.location_id,
        source=enquiry.source,
        first_name=enquiry.first_name,
        last_name=enquiry.last_name,
        email=enquiry.email,
        phone=enquiry.phone,
        whatsapp_user_id=enquiry.whatsapp_user_id,
        time_zone=enquiry.time_zone,
        postal_code=enquiry.postal_code,
        vehicle=dict(enquiry.vehicle) if enquiry.vehicle else None,
        survey=dict(enquiry.survey) if enquiry.survey else None,
        external_order_id=enquiry.external_order_id,
        status=LeadStatus.NEW,
        enrolment=1,
        enrolled_at=now,
        touches_sent=0,
        touched=0,
        touches_paused=False,
        opted_out=[],
        consented=[],
        created_at=now,
        last_activity_at=now,
    )
    repository.add(session, lead)
    return lead


def _fill_blanks(lead: Lead, enquiry: Enquiry, now: datetime) -> None:
    for name in _BLANKS:
        if getattr(lead, name) is None and (value := getattr(enquiry, name)) is not None:
            setattr(lead, name, dict(value) if isinstance(value, Mapping) else value)
    lead.external_order_id = enquiry.external_order_id or lead.external_order_id
    lead.last_activity_at = now


def _enrol_again(lead: Lead, now: datetime) -> None:
    lead.enrolment += 1
    lead.enrolled_at = now
    lead.status = LeadStatus.NEW
    lead.touches_sent = 0
    lead.touches_paused = False
