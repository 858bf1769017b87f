"""From a stored event to a lead: fetch the truth, judge it, apply it once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TypeVar
from uuid import UUID

import phonenumbers

from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.shopmonkey.models import Customer, Order, Vehicle
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.addresses import known_email, known_phone
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.criteria import LeadRules, OrderState, state_of, unmet
from lead_orchestrator.leads.ingestion.models import SHOPMONKEY, EventSource, EventStatus
from lead_orchestrator.leads.models import Channel, Lead, LeadOrder, LeadSource, LeadStatus
from lead_orchestrator.leads.service import Enquiry, Leads, locked
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["Ingestion", "Processed", "version_of"]

_log = get_logger(__name__)

LEASE = timedelta(seconds=30)
MOST_ATTEMPTS = 12
LONGEST_DELAY_SECONDS = 900.0
_MOST_REFETCHES = 5
_PATIENCE = 3  # attempts to find an order's customer: ShopMonkey may show the order first
_STATUS = {OrderState.BOOKED: LeadStatus.BOOKED, OrderState.WON: LeadStatus.WON, OrderState.LOST: LeadStatus.LOST}


@dataclass(frozen=True)
class Processed:
    """What became of an event; `enrolled` is the lead whose first touch is now due."""

    status: EventStatus
    outcome: str
    lead_id: UUID | None = None
    enrolled: bool = False


@dataclass(frozen=True)
class _Truth:
    """An order as ShopMonkey has it now, with the people and things it names."""

    order: Order | None
    customer: Customer | None = None
    vehicle: Vehicle | None = None

    @property
    def lacks_customer(self) -> bool:
        """Whether the order is a quote whose customer could not be read."""
        order = self.order
        quote = order is not None and state_of(order) is OrderState.QUOTE and bool(order.customer_id)
        return quote and self.customer is None


def version_of(order: Order | None) -> str:
    """A text that rises with each change of the order; empty for one that is gone."""
    if order is None or order.changed_at is None:
        return ""
    number = order.meta.get("version")
    changed = order.changed_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return f"{changed}/{number if isinstance(number, int) else 0:012d}"


class Ingestion:
    """Turns events into leads. No transaction is open while ShopMonkey is asked."""

    def __init__(self, tenancy: Tenancy, shopmonkey: ShopMonkeyClient, secrets: SecretOpener, leads: Leads) -> None:
        self._tenancy = tenancy
        self._shopmonkey = shopmonkey
        self._secrets = secrets
        self._leads = leads

    async def process(self, tenant_id: UUID, event_id: UUID) -> Processed | None:
        """Apply one event; None if it was done already or somebody else is at it. Running twice is harmless."""
        scope = Scope.service(tenant_id, "ingestion")
        async with self._tenancy.write(scope) as session:
            event = await repository.claim(session, event_id, LEASE, SHOPMONKEY)
            config = await repository.config(session)
        if event is None:
            return None
        if config is None or config.api_key is None:
            return await self._give_up(scope, event, "the tenant has no ShopMonkey key")
        rules = LeadRules(tuple(config.lead_workflow_status_ids), config.lead_name_prefix)
        try:
            key = self._secrets.open(tenant_id, "shopmonkey_api_key", config.api_key)
            return await self._fetch_and_apply(scope, event, key, rules)
        except ProviderRefused as error:
            return await self._try_later(scope, event, error.message, LONGEST_DELAY_SECONDS)
        except ProviderBusy as error:
            return await self._try_later(scope, event, f"ShopMonkey is busy ({error.code})", error.retry_after)
        except Exception as error:  # noqa: BLE001 - one order that trips us must not hold up the others, nor be tried for ever
            _log.exception("event_unexpected", event_id=str(event.id))
            return await self._try_later(scope, event, f"unexpected: {type(error).__name__}", None)

    async def sweep(self, tenant_id: UUID, limit: int = 50) -> list[Processed]:
        """Process the events whose wake-up was lost."""
        async with self._tenancy.read(Scope.service(tenant_id, "ingestion")) as session:
            waiting = await repository.due_events(session, limit, SHOPMONKEY)
        done = [await self.process(tenant_id, event_id) for event_id in waiting]
        return [result for result in done if result is not None]

    async def _fetch_and_apply(
        self, scope: Scope, event: repository.ClaimedEvent, key: str, rules: LeadRules
    ) -> Processed | None:
        since = event.claimed_at
        siblings: dict[str, Order | None] = {}
        for _ in range(_MOST_REFETCHES):
            truth = await self._fetch(key, event.external_id)
            for order_id in siblings:
                siblings[order_id] = await self._shopmonkey.get_order(key, order_id)
            if truth.lacks_customer and event.attempts < _PATIENCE:
                return await self._try_later(scope, event, "ShopMonkey does not show its customer yet", None)
            async with self._tenancy.write(scope) as session:
                await leads_repository.lock_names(session, [f"order:{event.external_id}"])
                if not await repository.holds(session, event):
                    return None
                # Another event of this order was applied after we fetched: what we hold may be older than what is stored.
                if not await repository.processed_since(session, event.external_id, since, event.id):
                    unseen = await self._siblings(session, truth, rules) - siblings.keys()
                    if unseen:
                        siblings |= dict.fromkeys(unseen)
                        continue
                    for order_id, order in siblings.items():
                        await self._catch_up(session, order_id, order)
                    result = await self._apply(session, event, truth, rules)
                    await repository.finish(session, event.id, result.status, result.outcome)
                    return result
                since = await real_now(session)
        return await self._try_later(scope, event, "the order kept changing", None)

    async def _fetch(self, key: str, order_id: str) -> _Truth:
        order = await self._shopmonkey.get_order(key, order_id)
        if order is None or order.deleted or state_of(order) is not OrderState.QUOTE:
            return _Truth(order)
        customer, vehicle = await asyncio.gather(
            _maybe(self._shopmonkey.get_customer, key, order.customer_id),
            _maybe(self._shopmonkey.get_vehicle, key, order.vehicle_id),
        )
        return _Truth(order, customer, vehicle)

    async def _siblings(self, session: WriteSession, truth: _Truth, rules: LeadRules) -> set[str]:
        """The person's other orders: whether a new quote joins them or opens a new enrolment depends on what they are now,
        not on which of the events came first."""
        order = truth.order
        if order is None or unmet(order, rules) or await leads_repository.get_order(session, order.id):
            return set()
        location = await repository.location_by_shopmonkey_id(session, order.location_id or "")
        if location is None:
            return set()
        asked = _enquiry(location.id, LeadSource.SHOPMONKEY_WEBHOOK, order, truth)
        return set(await repository.sibling_orders(session, location.id, order.id, asked.phone, asked.email))

    async def _catch_up(self, session: WriteSession, order_id: str, order: Order | None) -> None:
        await leads_repository.lock_names(session, [f"order:{order_id}"])
        known = await leads_repository.get_order(session, order_id)
        if known is not None:
            await self._moved(session, known, order)

    async def _apply(
        self, session: WriteSession, event: repository.ClaimedEvent, truth: _Truth, rules: LeadRules
    ) -> Processed:
        known = await leads_repository.get_order(session, event.external_id)
        if known is not None:
            return await self._moved(session, known, truth.order)
        if truth.order is None:
            return Processed(EventStatus.IGNORED, "ShopMonkey has no such order")
        reasons = unmet(truth.order, rules)
        if reasons:
            return Processed(EventStatus.IGNORED, f"not a website quote: {'; '.join(reasons)}")
        return await self._quoted(session, event, truth.order, truth)

    async def _quoted(
        self, session: WriteSession, event: repository.ClaimedEvent, order: Order, truth: _Truth
    ) -> Processed:
        location = await repository.location_by_shopmonkey_id(session, order.location_id or "")
        if location is None:
            return Processed(EventStatus.IGNORED, "its location is not one of the tenant's")
        if truth.customer is None:
            return Processed(EventStatus.IGNORED, "ShopMonkey has no such customer")
        source = LeadSource.SHOPMONKEY_POLL if event.source == EventSource.POLL else LeadSource.SHOPMONKEY_WEBHOOK
        enquiry = _enquiry(location.id, source, order, truth)
        if not enquiry.phone and not enquiry.email:
            return Processed(EventStatus.IGNORED, "its customer has neither a phone number nor a mail address")
        if order.created_date and await self._leads.erased_since(session, enquiry, order.created_date):
            return Processed(EventStatus.IGNORED, "its customer was erased after asking this")
        received = await self._leads.receive(session, enquiry)
        lead = received.lead
        row = LeadOrder(
            tenant_id=lead.tenant_id,
            location_id=lead.location_id,
            lead_id=lead.id,
            order_id=order.id,
            enrolment=lead.enrolment,
            state=OrderState.QUOTE,
            version=version_of(order),
            created_at=await app_now(session),
        )
        leads_repository.add(session, row)
        outcome = (
            "lead created" if received.created else "lead enrolled again" if received.enrolled else "linked to its lead"
        )
        return Processed(EventStatus.PROCESSED, outcome, lead.id, received.enrolled)

    async def _moved(self, session: WriteSession, known: LeadOrder, order: Order | None) -> Processed:
        lead = await locked(session, known.lead_id)
        version = version_of(order)
        if version and version < known.version:
            return Processed(EventStatus.IGNORED, "older than what is known", lead.id)
        state = state_of(order)
        known.version = version or known.version
        known.state = state
        await session.flush()
        outcome = await self._follow(session, lead, known, order, state)
        return Processed(EventStatus.PROCESSED, outcome, lead.id)

    async def _follow(
        self, session: WriteSession, lead: Lead, known: LeadOrder, order: Order | None, state: OrderState
    ) -> str:
        if state is OrderState.QUOTE:
            if order is not None and order.message_count:
                await self._leads.pause(session, lead, "The shop writes with this customer in ShopMonkey")
                return "touches paused: the shop writes with this customer"
            return "nothing new for its lead"
        if state is OrderState.LOST and await repository.open_orders_besides(session, known):
            return "deleted; its lead has another open order"
        if known.enrolment != lead.enrolment:
            return "an order of an earlier enrolment"
        status = _STATUS[state]
        reason = {"BOOKED": "Authorized or booked in ShopMonkey", "WON": "Invoiced or paid", "LOST": "Deleted"}[state]
        moved = await self._leads.move(session, lead, status, reason)
        return f"lead {status.value.lower()}" if moved else f"lead stays {lead.status.lower()}"

    async def _try_later(
        self, scope: Scope, event: repository.ClaimedEvent, error: str, wanted: float | None
    ) -> Processed:
        if event.attempts >= MOST_ATTEMPTS:
            return await self._give_up(scope, event, error)
        seconds = wanted if wanted is not None else min(2.0**event.attempts, LONGEST_DELAY_SECONDS)
        jittered = timedelta(seconds=min(seconds, LONGEST_DELAY_SECONDS) * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        async with self._tenancy.write(scope) as session:
            await repository.put_off(session, event, error, jittered)
        _log.warning("event_put_off", event_id=str(event.id), attempts=event.attempts, reason=error)
        return Processed(EventStatus.RECEIVED, error)

    async def _give_up(self, scope: Scope, event: repository.ClaimedEvent, error: str) -> Processed:
        async with self._tenancy.write(scope) as session:
            await repository.put_off(session, event, error, None)
        _log.error("event_failed", event_id=str(event.id), reason=error)
        return Processed(EventStatus.FAILED, error)


_R = TypeVar("_R")


async def _maybe(fetch: Callable[[str, str], Awaitable[_R | None]], key: str, row_id: str | None) -> _R | None:
    return await fetch(key, row_id) if row_id else None


def _enquiry(location_id: UUID, source: LeadSource, order: Order, truth: _Truth) -> Enquiry:
    customer, vehicle = truth.customer, truth.vehicle
    phone = customer.phone if customer else None
    email = customer.email if customer else None
    consents = []
    if phone is not None and phone.opt_in is not None:
        consents.append(ConsentGiven(Channel.SMS, phone.opt_in, "shopmonkey: phoneNumbers.optIn"))
    if email is not None and email.subscribed is not None:
        consents.append(ConsentGiven(Channel.EMAIL, email.subscribed, "shopmonkey: emails.subscribed"))
    car = {"year": vehicle.year, "make": _line(vehicle.make), "model": _line(vehicle.model)} if vehicle else None
    return Enquiry(
        location_id=location_id,
        source=source,
        first_name=_line(customer.first_name) if customer else None,
        last_name=_line(customer.last_name) if customer else None,
        email=known_email(email.email) if email else None,
        phone=known_phone(phone.number, _region(phone.country)) if phone else None,
        postal_code=_line(customer.postal_code) if customer else None,
        vehicle=car,
        external_order_id=order.id,
        consents=consents,
    )


def _line(raw: str | None) -> str | None:
    """One line of text; control characters, which Postgres refuses or a message must not carry, count as blanks."""
    printable = "".join(character if character.isprintable() else " " for character in raw or "")
    return " ".join(printable.split())[:100] or None


def _region(country: str | None) -> str:
    """The country as phone numbers know it; what is no code ("United States") is taken for the US."""
    code = (country or "").strip().upper()
    return code if code in phonenumbers.SUPPORTED_REGIONS else "US"
