from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.leads.models import Lead
from tests.messaging.leads import lead_row, make_lead, touches
from tests.rest.conftest import Browser
from tests.stack import Stack


def chat(stack: Stack, lead: Lead) -> str:
    return f"/c/{stack.services.links.token('chat', lead.tenant_id, lead.id)}"


def unsubscribe(stack: Stack, lead: Lead) -> str:
    return f"/u/{stack.services.links.token('unsubscribe', lead.tenant_id, lead.id)}"


async def test_the_chat_page_shows_the_shop_and_how_to_reach_it(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack, first_name="Secretname")

    page = await browser.get(chat(stack, lead))

    assert page.status_code == 200
    assert "Sun Shade Tint Los Angeles is glad to help" in page.text
    assert 'href="tel:+13105550100"' in page.text
    assert "1 Example Street" in page.text
    assert "Secretname" not in page.text
    assert str(lead.phone) not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_what_the_shop_wrote_is_escaped(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    nasty = '<script>alert("1")</script>{0}'
    async with stack.services.tenancy.platform() as session:
        await session.execute(
            text("UPDATE locations SET name = :nasty, phone = :nasty, address = :nasty"), {"nasty": nasty}
        )

    page = await browser.get(chat(stack, lead))

    assert page.status_code == 200
    assert "<script>" not in page.text
    assert page.text.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;{0}") >= 5


async def test_looking_at_the_unsubscribe_page_changes_nothing(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    for _ in range(2):
        page = await browser.get(unsubscribe(stack, lead))
        assert (page.status_code, '<form method="post"><button>Unsubscribe' in page.text) == (200, True)
    assert (await browser.head(unsubscribe(stack, lead))).status_code == 200

    assert (await lead_row(stack, lead.id))["opted_out"] == []
    assert await stack.rows("SELECT * FROM opt_outs") == []


@pytest.mark.parametrize("form", [{"List-Unsubscribe": "One-Click"}, {}])
async def test_one_click_opts_the_address_out_everywhere_and_twice_is_as_good_as_once(
    stack: Stack, browser: Browser, form: dict[str, str]
) -> None:
    lead = await make_lead(stack)
    elsewhere = await make_lead(stack, email=lead.email, location_id=list(stack.locations.values())[1])
    other = await make_lead(stack)

    for _ in range(2):
        done = await browser.post(unsubscribe(stack, lead), data=form)
        assert (done.status_code, "You are unsubscribed" in done.text) == (200, True)

    assert (await lead_row(stack, lead.id))["opted_out"] == ["EMAIL"]
    assert (await lead_row(stack, elsewhere.id))["opted_out"] == ["EMAIL"]
    assert (await lead_row(stack, other.id))["opted_out"] == []
    assert (await lead_row(stack, lead.id))["status"] == "NEW"  # the number is left
    assert len(await stack.rows("SELECT * FROM opt_outs")) == 1
    [reason] = await stack.rows("SELECT DISTINCT reason FROM opt_outs")
    assert reason["reason"] == "Unsubscribed by the link in an e-mail"


async def test_the_last_address_that_unsubscribes_ends_the_touches(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack, phone=None)

    await browser.post(unsubscribe(stack, lead))
    await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert (await lead_row(stack, lead.id))["status"] == "OPTED_OUT"
    assert [row["status"] for row in await touches(stack, lead.id)] == ["CANCELLED"]
    assert stack.mails() == []


async def test_two_leads_of_one_address_unsubscribe_at_once(stack: Stack, browser: Browser) -> None:
    leads = [await make_lead(stack, email="both@example.com", location_id=place) for place in stack.locations.values()]

    pages = await asyncio.gather(*(browser.post(unsubscribe(stack, lead)) for lead in leads * 5))

    assert {page.status_code for page in pages} == {200}
    assert len(await stack.rows("SELECT * FROM opt_outs")) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["notours", "A" * 64, "%F0%9F%92%A9", "A" * 5000])
async def test_a_forged_link_ends_on_a_page_that_says_so(browser: Browser, method: str, token: str) -> None:
    page = await browser.request(method, f"/u/{token}")

    assert (page.status_code, "This link has ended" in page.text) == (404, True)
    assert token not in page.text


async def test_a_chat_link_unsubscribes_nobody(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    token = chat(stack, lead).rpartition("/")[2]

    assert (await browser.post(f"/u/{token}")).status_code == 404
    assert (await browser.get(unsubscribe(stack, lead).replace("/u/", "/c/"))).status_code == 404
    assert await stack.rows("SELECT * FROM opt_outs") == []


async def test_the_links_of_an_erased_lead_have_ended(stack: Stack, browser: Browser) -> None:
    gone = stack.services.links
    ids = (stack.tenant_id, uuid4())

    assert (await browser.get(f"/c/{gone.token('chat', *ids)}")).status_code == 404
    assert (await browser.post(f"/u/{gone.token('unsubscribe', *ids)}")).status_code == 404


async def test_a_link_to_a_lead_of_another_tenant_finds_nothing(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)
    token = stack.services.links.token("chat", uuid4(), lead.id)

    assert (await browser.get(f"/c/{token}")).status_code == 404
