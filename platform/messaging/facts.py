"""Gathers what the gate's decisions rest on, for a whole batch of claimed messages in a handful of statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, MessageKind
from lead_orchestrator.leads.opt_outs import address_kind
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.delivery import Account, senders
from lead_orchestrator.messaging.gate import Facts
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location, MessagingConfig
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import ReadSession
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.schedule import Touch
from lead_orchestrator.touches.service import Schedule, schedules
from lead_orchestrator.touches.whereabouts import locate

__all__ = ["Gathered", "gather"]

_log = get_logger(__name__)

_ALTERNATIVES = (Channel.SMS, Channel.EMAIL)


@dataclass(frozen=True)
class Gathered:
    """The facts of each message of a batch by its id, and what sending any of them takes.

    `busy` are the leads to whose person a message is just being sent.
    """

    now: datetime
    real_now: datetime
    account: Account
    locations: Mapping[UUID, Location]
    schedules: Mapping[UUID, Schedule]
    busy: frozenset[UUID]
    facts: Mapping[UUID, Facts]
    left_today: int | None = None
    """How many more messages the franchise may send before `tomorrow`; None: as many as it likes."""
    tomorrow: datetime | None = None


async def gather(session: ReadSession, due: Sequence[repository.Due], secrets: SecretBox) -> Gathered | None:
    """The facts of messages that this transaction has claimed; None for a tenant that has nothing to send from.

    The number of statements does not grow with the batch. They are made after the claim, so that what whoever held a
    lead before has committed is seen.
    """
    setting = await repository.setting(session)
    if setting is None:
        return None
    leads = [item.lead for item in due]
    places = list({lead.location_id for lead in leads})
    account = Account.of(setting.config, secrets)
    locations = await tenancy_repository.locations_by_id(session, places)
    planned = await schedules(session, places)
    traffic = await repository.traffic(session, [lead.id for lead in leads])
    refusing = await _refusing(session, leads, secrets)
    today = await _today(session, setting)
    shared = _Shared(setting, account, senders(account), _window(setting.config), locations, planned, traffic, refusing)
    return Gathered(
        now=setting.now,
        real_now=setting.real_now,
        account=account,
        locations=locations,
        schedules=planned,
        busy=frozenset(traffic.sending),
        facts={item.message.id: _facts(item, shared) for item in due},
        left_today=today.left if today else None,
        tomorrow=today.ends if today else None,
    )


@dataclass(frozen=True)
class _Today:
    """What is left of the franchise's limit, and when the day ends by the product's clock."""

    left: int
    ends: datetime


async def _today(session: ReadSession, setting: repository.Setting) -> _Today | None:
    """The day is UTC's in real time, since the limit protects what somebody pays for; None without a limit."""
    limit = setting.tenant.messages_per_day
    if limit is None:
        return None
    real = setting.real_now
    midnight = real.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    sent = await repository.attempts_since(session, midnight, limit)
    return _Today(limit - sent, setting.now + (midnight + timedelta(days=1) - real))


@dataclass(frozen=True)
class _Shared:
    setting: repository.Setting
    account: Account
    senders: frozenset[Channel]
    window: QuietHours
    locations: Mapping[UUID, Location]
    schedules: Mapping[UUID, Schedule]
    traffic: repository.Traffic
    refusing: Mapping[UUID, frozenset[Channel]]


def _facts(due: repository.Due, shared: _Shared) -> Facts:
    message, lead = due.message, due.lead
    tenant, config = shared.setting.tenant, shared.setting.config
    kind = MessageKind(message.kind)
    planned = shared.schedules[lead.location_id].get(message.touch_number or 1) if kind is MessageKind.TOUCH else None
    traffic = shared.traffic
    return Facts(
        now=shared.setting.now,
        kind=kind,
        touch_number=message.touch_number,
        channels=_channels(Channel(message.channel), kind, planned),
        addresses=lead.addresses,
        status=LeadStatus(lead.status),
        paused=lead.touches_paused,
        opted_out=shared.refusing[lead.id],
        consented=frozenset(map(Channel, lead.consented)),
        place=locate(lead.time_zone, lead.postal_code, lead.phone, shared.locations[lead.location_id].timezone),
        window=shared.window,
        instant_replies=config.instant_replies,
        tenant_active=tenant.status == "ACTIVE",
        demo_mode=tenant.demo_mode,
        allowlist=tenant.demo_allowlist,
        senders=shared.senders,
        daily_cap=config.daily_cap,
        weekly_cap=config.weekly_cap,
        sent=traffic.sent.get(lead.id, ()),
        skip_holidays=config.skip_holidays,
        person_has_it=lead.id in traffic.with_person,
        wrote_at=traffic.wrote_at.get(lead.id, {}),
        refused=shared.account.refused,
        whatsapp_template=planned.whatsapp_template if planned else None,
        confirms_opt_out=message.confirms_opt_out,
        not_after=message.void_after or (message.send_before if message.confirms_opt_out else None),
    )


def _channels(stored: Channel, kind: MessageKind, planned: Touch | None) -> list[Channel]:
    """The channels the message could take, the wanted one first: a touch has others."""
    if kind is not MessageKind.TOUCH:
        return [stored]
    wanted = planned.channel if planned else stored
    return [wanted, *(channel for channel in _ALTERNATIVES if channel is not wanted)]


async def _refusing(session: ReadSession, leads: Sequence[Lead], secrets: SecretBox) -> dict[UUID, frozenset[Channel]]:
    """The channels on which each lead's addresses opted out: the ledger is asked, the lead's own list may be older."""
    hashes = {lead.id: _hashes(lead, secrets) for lead in leads}
    every = [value for mine in hashes.values() for value in mine.values()]
    found = await repository.opted_out_addresses(session, every)
    return {
        lead.id: frozenset(
            {channel for channel, value in hashes[lead.id].items() if (channel, value) in found}
            | {Channel(channel) for channel in lead.opted_out}
        )
        for lead in leads
    }


def _hashes(lead: Lead, secrets: SecretBox) -> dict[Channel, bytes]:
    return {
        channel: secrets.address_hash(lead.tenant_id, address_kind(channel, address), address)
        for channel, address in lead.addresses.items()
        if address
    }


def _window(config: MessagingConfig) -> QuietHours:
    """The tenant's contact hours; the default's where they are none, so that one setting does not stop everything."""
    try:
        return QuietHours(config.quiet_hours_end, config.quiet_hours_start)
    except BadInputError:
        _log.warning("contact_hours_unusable")
        return QuietHours()
