"""What is still missing before a franchise goes live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lead_orchestrator.administration import repository
from lead_orchestrator.administration.repository import ReadinessFacts
from lead_orchestrator.catalog.repository import unset_durations
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["Check", "readiness"]


@dataclass(frozen=True)
class Check:
    """`detail` is None where it is `ok`; going live waits for those that are `required`."""

    name: str
    ok: bool
    detail: str | None
    required: bool


async def readiness(session: ReadSession, *, demo_mode: bool) -> Sequence[Check]:
    """Every check, of what the session sees, in the order in which somebody would see to them."""
    facts = await repository.readiness_facts(session)
    unset = await unset_durations(session)
    return [*_crm(facts), *_senders(facts), *_shops(facts, unset), _live(demo_mode=demo_mode)]


def _crm(facts: ReadinessFacts) -> Iterator[Check]:
    yield _check("shopmonkey_key", facts.crm_key, "there is no ShopMonkey API key")
    claimed = f"{facts.claimed} of {facts.locations} locations have a ShopMonkey location"
    yield _check("locations_claimed", 0 < facts.locations == facts.claimed, claimed)
    yield _check("webhook_secret", facts.webhook_secret, "there is no secret to verify ShopMonkey's webhooks with")
    silent = "no signed webhook has come from ShopMonkey yet: create it there and ask for a quote on the website"
    yield _check("webhook_received", facts.webhook_received, silent)


def _senders(facts: ReadinessFacts) -> Iterator[Check]:
    yield _check("sms_sender", facts.sms_account, "there is no Twilio account with a number to text from")
    unasked = "nobody has asked Twilio whether account and number are the franchise's: enter its credentials again"
    yield _check("sms_registered", facts.sms_checked, unasked)
    yield _check("sms_accepted", facts.sms_refused is None, f"Twilio refused the account: {facts.sms_refused}")
    unsent = "no text has been sent yet: put your own number on the allow-list and ask for a quote"
    yield _check("test_text_sent", facts.text_sent, unsent)
    yield _check("mail_sender", facts.mail_account, "there is no SendGrid account with an address to mail from", False)
    unasked = "nobody has asked SendGrid whether the key may send from the address: enter its credentials again"
    yield _check("mail_registered", facts.mail_checked, unasked, False)
    refused = f"SendGrid refused the account: {facts.mail_refused}"
    yield _check("mail_accepted", facts.mail_refused is None, refused, False)


def _shops(facts: ReadinessFacts, unset: int) -> Iterator[Check]:
    shops = facts.locations
    yield _check("opening_hours", 0 < shops == facts.open, f"{facts.open} of {shops} locations have opening hours")
    sold = f"{facts.with_services} of {shops} locations have services: synchronise the catalog"
    yield _check("catalog", 0 < shops == facts.with_services, sold)
    assumed = f"{unset} services take their category's usual time: set how long each takes at your shops"
    yield _check("service_durations", unset == 0, assumed, False)
    connected = (
        f"{facts.with_calendar} of {shops} locations have a Google calendar: the others go by ShopMonkey's alone"
    )
    yield _check("calendar", 0 < shops == facts.with_calendar, connected, False)


def _live(*, demo_mode: bool) -> Check:
    return _check("live", not demo_mode, "demo mode is on: only the allow-list is contacted", False)


def _check(name: str, ok: bool, missing: str, required: bool = True) -> Check:
    return Check(name, ok, None if ok else missing, required)
