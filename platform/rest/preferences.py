"""What a person receives, per channel: shown masked, changed by whoever holds the signed link of a mail."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.rest.page_texts import CHANNELS, TEXTS
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Preferences", "apply_choice", "checked_ip", "masked", "offered", "preferences_form"]

_ORDER = (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)
_SHOWN_OF_A_NUMBER = 2
_DOTS = "\u2022\u2022\u2022"


@dataclass(frozen=True)
class Preferences:
    """`addresses` are masked; `start_number` is where START is sent to."""

    shop: str
    addresses: Mapping[Channel, str]
    receiving: frozenset[Channel]
    start_number: str | None


async def offered(session: ReadSession, lead: Lead) -> Preferences:
    """What this lead may choose among: the channels it has an address for."""
    location = await repository.location(session, lead.location_id)
    config = await repository.messaging_config(session)
    known = {channel: address for channel in _ORDER if (address := lead.addresses.get(channel))}
    if config is None or config.whatsapp_phone_number_id is None:
        known.pop(Channel.WHATSAPP, None)
    return Preferences(
        shop=location.name if location else "",
        addresses={channel: masked(channel, address) for channel, address in known.items()},
        receiving=frozenset(channel for channel in known if channel not in lead.opted_out),
        start_number=config.twilio_phone_number if config else None,
    )


async def apply_choice(
    session: WriteSession, leads: Leads, lead: Lead, wanted: Collection[Channel], *, language: str, ip: str | None
) -> None:
    """Opt the locked person out of what it does not want, and back in to mails, with a line in the consent ledger.

    Whoever holds the link reads the mails of the address, and has shown nothing about the number beside it: texts are
    turned off here, and on again by a START from the phone itself.
    """
    shown = (await offered(session, lead)).addresses
    unwanted = {channel for channel in shown if channel not in wanted}
    if Channel.SMS in unwanted and Channel.WHATSAPP not in shown:
        unwanted.add(Channel.WHATSAPP)  # the same number
    await leads.opt_out(session, lead, sorted(unwanted), "Turned off on the preferences page")
    if Channel.EMAIL in wanted and Channel.EMAIL in lead.opted_out:
        location = await repository.location(session, lead.location_id)
        wording = TEXTS[language]["mail_wording"].format(shop=location.name if location else "")
        given = ConsentGiven(Channel.EMAIL, True, "Preferences page", wording, checked_ip(ip))
        await leads.opt_in(session, lead, [Channel.EMAIL], "Turned on on the preferences page", consents=[given])


def masked(channel: Channel, address: str) -> str:
    """Enough of an address for its owner to know it by."""
    if channel is Channel.EMAIL:
        local, _, domain = address.partition("@")
        name, _, top = domain.rpartition(".")
        return f"{local[:1]}{_DOTS}@{name[:1]}{_DOTS}.{top}"
    return f"{_DOTS} {address[-_SHOWN_OF_A_NUMBER:]}"


def preferences_form(preferences: Preferences, language: str, action: str) -> str:
    """The form, which works without a script: what is ticked is received."""
    texts = TEXTS[language]
    rows = "".join(_row(preferences, language, channel) for channel in preferences.addresses)
    return (
        f'<form method="post" action="{html.escape(action)}"><fieldset><legend>{html.escape(texts["legend"])}</legend>{rows}</fieldset>'
        f'<p class="buttons"><button>{html.escape(texts["save"])}</button>'
        f'<button class="plain" name="stop" value="all">{html.escape(texts["stop_all"])}</button></p></form>'
    )


def _row(preferences: Preferences, language: str, channel: Channel) -> str:
    name, receiving = channel.value.lower(), channel in preferences.receiving
    by_start = not receiving and channel is not Channel.EMAIL
    state = " checked" if receiving else " disabled" if by_start else ""
    note = _note(preferences, language, channel) if by_start else ""
    return (
        f'<div class="channel"><input type="checkbox" id="{name}" name="channel" value="{channel.value}"'
        f' aria-describedby="{name}-address"{state}><label for="{name}">{html.escape(CHANNELS[language][channel])}</label>'
        f'<small id="{name}-address">{html.escape(preferences.addresses[channel])}{note}</small></div>'
    )


def _note(preferences: Preferences, language: str, channel: Channel) -> str:
    texts = TEXTS[language]
    number = preferences.start_number if channel is Channel.SMS else None
    to = texts["to"].format(number=number) if number else ""
    return f"<br>{html.escape(texts['by_start'].format(to=to))}"


def checked_ip(raw: str | None) -> str | None:
    """`raw` if it is an address: behind some sockets a client has none."""
    try:
        return str(ip_address(raw or ""))
    except ValueError:
        return None
