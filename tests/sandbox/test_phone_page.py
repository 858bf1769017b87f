from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lead_orchestrator.sandbox.people import people
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, SendGrid, Twilio, WhatsApp, quote

EVIL = "<script>alert(1)</script>"
ANN = "ann@example.com"


def form_of(page: str, path: str) -> dict[str, str]:
    """The fields of the form that posts to `path`, with their values."""
    form = re.search(rf'<form[^>]*action="{re.escape(path)}".*?</form>', page, re.DOTALL)
    assert form is not None, f"no form posts to {path}"
    fields = dict(re.findall(r'<input[^>]*?name="(\w+)"[^>]*?value="([^"]*)"', form[0]))
    chosen = re.search(r"<option selected>([^<]*)<", form[0]) or re.search(r"<option>([^<]*)<", form[0])
    return {name: unescape(value) for name, value in fields.items()} | ({"to": chosen[1]} if chosen else {})


def thread(page: str) -> list[tuple[str, str]]:
    """The bubbles from top to bottom: who wrote, and what."""
    found = re.findall(r'<li class="(inbound|outbound)"><div class="bubble">(.*?)</div>', page, re.DOTALL)
    return [(who, unescape(text)) for who, text in found]


async def test_a_person_has_one_phone_with_a_tab_for_each_channel(
    client: httpx.AsyncClient, twilio: Twilio, sendgrid: SendGrid
) -> None:
    await client.post("/quotes", json=quote())
    await twilio.send(Body="Hello Ann")
    await sendgrid.send()

    page = (await client.get("/phone", params={"contact": CUSTOMER, "channel": "sms"})).text

    assert page.count("<article") == 1
    assert "Ann Lee" in page
    assert re.findall(r'(\w+) <span class="count">(\d+)', page) == [
        ("Texts", "1"), ("WhatsApp", "0"), ("Mail", "1")
    ]  # fmt: skip
    assert thread(page) == [("outbound", "Hello Ann")]


async def test_without_a_choice_the_newest_person_and_channel_are_shown(
    client: httpx.AsyncClient, twilio: Twilio, server: SandboxServer
) -> None:
    await twilio.send(To="+13105550124", Body="older")
    await server.sandbox.courier.idle()
    await twilio.send(Body="newer")
    assert thread((await client.get("/phone")).text) == [("outbound", "newer")]
    assert thread((await client.get("/phone", params={"contact": "+13105550124"})).text) == [("outbound", "older")]


async def test_what_came_from_outside_is_escaped(client: httpx.AsyncClient, twilio: Twilio, sendgrid: SendGrid) -> None:
    await client.post("/quotes", json=quote(firstName=EVIL, name=EVIL))
    await twilio.send(Body=f"Price? {EVIL}")
    await sendgrid.send(subject=f"Mail {EVIL}", content=[{"type": "text/html", "value": f"<p>Hi</p>{EVIL}"}])

    pages = [
        (await client.get("/phone", params={"contact": CUSTOMER, "channel": channel, "error": EVIL})).text
        for channel in ("sms", "whatsapp", "email")
    ]

    assert [page.count("<script>") for page in pages] == [1, 1, 1]  # the page's own
    assert thread(pages[0]) == [("outbound", f"Price? {EVIL}")]
    assert 'srcdoc="&lt;p&gt;Hi&lt;/p&gt;' in pages[2]


@pytest.mark.parametrize("channel", ["SMS", "WHATSAPP"])
async def test_an_answer_needs_no_javascript(
    client: httpx.AsyncClient, twilio: Twilio, whatsapp: WhatsApp, receiver: Receiver, channel: str
) -> None:
    await client.post("/callbacks", json={"smsUrl": f"{receiver.url}/sms"})
    await twilio.send(From=SUN_SHADE.twilio_numbers[1])
    await whatsapp.template("quote_ready", "Ann", "Shop")
    page = (await client.get("/phone", params={"contact": CUSTOMER, "channel": channel})).text
    path = f"/phones/%2B{CUSTOMER[1:]}/texts"
    form = form_of(page, path)

    answer = await client.post(path, data={**form, "body": "How much?"})

    back = urlsplit(answer.headers["location"])
    assert (answer.status_code, back.path) == (303, "/phone")
    assert parse_qs(back.query) == {"contact": [CUSTOMER], "channel": [channel]}
    assert thread((await client.get(answer.headers["location"])).text)[-1] == ("inbound", "How much?")
    assert form["to"] == (SUN_SHADE.twilio_numbers[1] if channel == "SMS" else SUN_SHADE.whatsapp_number)
    if channel == "SMS":
        assert (await receiver.until(1))[0].form()["To"] == SUN_SHADE.twilio_numbers[1]


async def test_a_mail_is_answered_from_its_page(client: httpx.AsyncClient, sendgrid: SendGrid, world: World) -> None:
    reply_to = f"r-1@{SUN_SHADE.inbound_domain}"
    await client.post(
        "/callbacks", json={"inboundMailHost": SUN_SHADE.inbound_domain, "inboundMailUrl": "http://127.0.0.1:9/in"}
    )
    await sendgrid.send(reply_to={"email": reply_to})
    page = (await client.get("/phone", params={"contact": ANN})).text
    form = form_of(page, "/phones/ann%40example.com/mails")

    answer = await client.post(f"/phones/{ANN}/mails", data={**form, "text": "Tomorrow?"})

    assert form == {"contact": ANN, "channel": "EMAIL", "to": reply_to, "subject": "Re: Your quote"}
    assert answer.status_code == 303
    (written,) = [message for message in world.messages if message.direction == "inbound"]
    assert (written.to, written.subject, written.body) == (reply_to, "Re: Your quote", "Tomorrow?")


async def test_an_answer_that_cannot_be_sent_says_why(client: httpx.AsyncClient, twilio: Twilio) -> None:
    await twilio.send()
    path = f"/phones/{CUSTOMER}/texts"

    answer = await client.post(path, data={"contact": CUSTOMER, "channel": "SMS", "to": "+13105550199", "body": "Hi"})

    assert answer.status_code == 303
    page = (await client.get(answer.headers["location"])).text
    assert 'role="alert"' in page
    assert "no Twilio account of the sandbox has this number" in page
    assert thread(page) == [("outbound", "Hello")]


async def test_spam_is_reported_from_the_page(
    client: httpx.AsyncClient, sendgrid: SendGrid, server: SandboxServer
) -> None:
    mail_id = (await sendgrid.send()).headers["X-Message-Id"]
    await server.sandbox.courier.idle()

    answer = await client.post(f"/mails/{mail_id}/events", data={"contact": ANN, "event": "spamreport"})

    assert answer.status_code == 303
    account = server.world.sendgrid_accounts[SUN_SHADE.sendgrid_api_key]
    assert account.suppressed == {ANN: "Spam Reporting Address"}


async def test_the_fragment_holds_the_phones_only(client: httpx.AsyncClient, twilio: Twilio) -> None:
    await twilio.send()
    fragment = (await client.get("/phone", params={"fragment": "1"})).text
    assert "<html" not in fragment
    assert fragment.count("<article") == 1


async def test_twilios_own_answer_and_a_failure_are_marked(
    client: httpx.AsyncClient, twilio: Twilio, server: SandboxServer
) -> None:
    server.world.timing.text_delivered = 0.0
    await client.post(f"/phones/{CUSTOMER}/undeliverable", json={"errorCode": 30007})
    await twilio.send()
    await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": "STOP"})

    page = (await client.get("/phone", params={"contact": CUSTOMER})).text

    assert "undelivered (error 30007)" in page
    assert page.count("Twilio&#x27;s own answer") == 1
    assert "opted out of texts" in page


async def test_rows_that_share_a_number_or_an_address_are_one_person(client: httpx.AsyncClient, world: World) -> None:
    await client.post("/quotes", json=quote(email="ann@example.com", phone="+13105550121"))
    await client.post("/quotes", json=quote(email="ann.lee@example.com", phone="+13105550122"))
    await client.post("/quotes", json=quote(email="bo@example.com", phone="+13105550123", firstName="Bo"))
    before = len(people(world))

    await client.post("/quotes", json=quote(email="ann@example.com", phone="+13105550122"))

    names = sorted((one.name, len(one.keys)) for one in people(world))
    assert before == 3
    assert names == [("Ann Lee", 4), ("Bo Lee", 2)]
