from __future__ import annotations

import re

import pytest

from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.leads.service import locked_person
from lead_orchestrator.rest.preferences import masked
from lead_orchestrator.tenancy.repository import messaging_config as config_of
from tests.messaging.leads import lead_row, make_lead
from tests.rest.conftest import Browser
from tests.stack import Stack


def page_of(stack: Stack, lead: Lead) -> str:
    return f"/u/{stack.services.links.token('unsubscribe', lead.tenant_id, lead.id)}"


def choices_of(stack: Stack, lead: Lead) -> str:
    return f"{page_of(stack, lead)}/choices"


async def opt_out(stack: Stack, lead: Lead, *channels: Channel) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        person = await locked_person(session, lead.id)
        await stack.services.leads.opt_out(session, person, channels or None, "tests")


def ticked(page: str) -> set[str]:
    return set(re.findall(r'value="(\w+)"[^>]*checked', page))


async def test_the_page_shows_channels_and_masked_addresses_and_nothing_else_of_the_person(
    stack: Stack, browser: Browser
) -> None:
    lead = await make_lead(stack, first_name="Secretname", email="ada.lovelace@example.com")

    page = await browser.get(page_of(stack, lead))

    assert page.status_code == 200
    assert ticked(page.text) == {"EMAIL", "SMS"}
    assert "a•••@e•••.com" in page.text
    assert f"••• {str(lead.phone)[-2:]}" in page.text
    for secret in ("Secretname", "lovelace", "example.com", str(lead.phone), str(lead.phone)[-4:], str(lead.id)):
        assert secret not in page.text


async def test_the_page_goes_nowhere_and_is_shown_in_nobodys_frame(stack: Stack, browser: Browser) -> None:
    page = await browser.get(page_of(stack, await make_lead(stack)))

    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "script" not in page.text
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.5", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("fr, es;q=0.3, en;q=0.2", "es"),
        ("en;q=0, es;q=0.1", "es"),
        ("de", "en"),
        ("", "en"),
        ("es;q=x,en", "en"),
    ],
)
async def test_the_page_speaks_the_browsers_language(
    stack: Stack, browser: Browser, accepted: str, language: str
) -> None:
    lead = await make_lead(stack)

    page = await browser.get(page_of(stack, lead), headers={"Accept-Language": accepted})

    assert page.headers["content-language"] == language
    assert f'<html lang="{language}">' in page.text
    assert ("Correos electrónicos" in page.text) == (language == "es")


async def test_what_is_not_ticked_is_turned_off_for_the_address_on_every_lead(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    elsewhere = await make_lead(stack, phone=lead.phone, location_id=list(stack.locations.values())[1])

    page = await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL"]})

    assert (page.status_code, ticked(page.text)) == (200, {"EMAIL"})
    assert (await lead_row(stack, lead.id))["opted_out"] == ["SMS", "WHATSAPP"]
    assert (await lead_row(stack, elsewhere.id))["opted_out"] == ["SMS", "WHATSAPP"]
    assert "send START from this phone to" in page.text


async def test_saving_what_is_ticked_already_changes_nothing(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL", "SMS"]})

    assert (await lead_row(stack, lead.id))["opted_out"] == []
    assert await stack.rows("SELECT * FROM opt_outs") == []


async def test_stop_everything_wins_over_what_is_ticked_and_ends_the_touches(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    page = await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL", "SMS"], "stop": "all"})

    assert "You will receive nothing more" in page.text
    row = await lead_row(stack, lead.id)
    assert (row["opted_out"], row["status"]) == (["EMAIL", "SMS", "WHATSAPP"], "OPTED_OUT")
    await stack.services.dispatcher.dispatch(stack.tenant_id)
    assert stack.mails() == []


async def test_mails_are_turned_on_again_with_a_line_in_the_consent_ledger(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack, consents=())
    await opt_out(stack, lead, Channel.EMAIL)

    page = await browser.post(
        choices_of(stack, lead), data={"channel": ["EMAIL", "SMS"]}, headers={"Accept-Language": "es"}
    )

    assert ticked(page.text) == {"EMAIL", "SMS"}
    row = await lead_row(stack, lead.id)
    assert (row["opted_out"], row["consented"]) == ([], ["EMAIL"])
    assert await stack.rows("SELECT * FROM opt_outs") == []
    [line] = await stack.rows("SELECT channel, granted, source, wording, host(ip) AS ip FROM consents")
    assert line == {
        "channel": "EMAIL",
        "granted": True,
        "source": "Preferences page",
        "wording": "Quiero recibir correos de Sun Shade Tint Los Angeles sobre mi cotización.",
        "ip": "127.0.0.1",
    }


async def test_the_link_of_a_mail_does_not_turn_texts_on_again(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    await opt_out(stack, lead)

    page = await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL", "SMS", "WHATSAPP"]})

    assert ticked(page.text) == {"EMAIL"}
    row = await lead_row(stack, lead.id)
    assert (row["opted_out"], row["status"]) == (["SMS", "WHATSAPP"], "ENGAGED")


async def test_mails_come_back_for_every_lead_of_the_address_and_texts_for_none(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    elsewhere = await make_lead(stack, email=lead.email, location_id=list(stack.locations.values())[1])
    neighbour = await make_lead(stack, email=None, phone=lead.phone, location_id=list(stack.locations.values())[1])
    await opt_out(stack, lead)

    await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL"]})

    assert (await lead_row(stack, elsewhere.id))["opted_out"] == []
    row = await lead_row(stack, neighbour.id)
    assert (row["opted_out"], row["status"]) == (["SMS", "WHATSAPP"], "OPTED_OUT")


@pytest.mark.parametrize("body", [b"", b"channel=NONSENSE", b"channel=EMAIL%00&x", b"\xff\xfe=1", b"&&&=;"])
async def test_an_odd_form_stops_rather_than_starts(stack: Stack, browser: Browser, body: bytes) -> None:
    lead = await make_lead(stack)

    page = await browser.post(
        choices_of(stack, lead), content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert page.status_code == 200
    assert (await lead_row(stack, lead.id))["opted_out"] == ["EMAIL", "SMS", "WHATSAPP"]


async def test_a_form_larger_than_any_of_ours_is_refused(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    page = await browser.post(choices_of(stack, lead), content=b"channel=EMAIL&" * 1000)

    assert page.status_code == 413
    assert (await lead_row(stack, lead.id))["opted_out"] == []


@pytest.mark.parametrize("purpose", ["chat", "other"])
async def test_only_a_link_for_it_changes_preferences(stack: Stack, browser: Browser, purpose: str) -> None:
    lead = await make_lead(stack)
    token = stack.services.links.token(purpose, lead.tenant_id, lead.id)

    assert (await browser.post(f"/u/{token}/choices", data={"stop": "all"})).status_code == 404
    assert (await lead_row(stack, lead.id))["opted_out"] == []


async def test_looking_at_the_choices_address_changes_nothing(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    page = await browser.get(choices_of(stack, lead))

    assert (page.status_code, ticked(page.text)) == (200, {"EMAIL", "SMS"})
    assert (await lead_row(stack, lead.id))["opted_out"] == []


async def test_a_shop_with_whatsapp_offers_it(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    async with stack.services.tenancy.write(stack.scope) as session:
        config = await config_of(session)
        assert config is not None
        config.whatsapp_phone_number_id = "10555"

    page = await browser.post(choices_of(stack, lead), data={"channel": ["EMAIL", "SMS"]})

    assert "WhatsApp" in page.text
    assert (await lead_row(stack, lead.id))["opted_out"] == ["WHATSAPP"]


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        (Channel.EMAIL, "a@example.com", "a•••@e•••.com"),
        (Channel.EMAIL, "someone.long@shop.example.com", "s•••@s•••.com"),
        (Channel.SMS, "+12135550134", "••• 34"),
        (Channel.WHATSAPP, "+12135550134", "••• 34"),
    ],
)
def test_a_masked_address_is_known_to_its_owner_only(channel: Channel, address: str, shown: str) -> None:
    assert masked(channel, address) == shown
