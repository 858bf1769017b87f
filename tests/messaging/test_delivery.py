from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.sendgrid.client import SendGridClient
from lead_orchestrator.integrations.twilio.client import TwilioClient, TwilioCredentials
from lead_orchestrator.integrations.whatsapp.client import WhatsAppClient, WhatsAppCredentials
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.delivery import Account, Delivery, Letter, senders
from lead_orchestrator.messaging.mail import Letterhead

ACCOUNT = Account(
    TwilioCredentials("AC" + "0" * 32, SecretStr("hidden-token")),
    "+13105550100",
    None,
    "SG.hidden-key",
    "quotes@example.com",
    "Sun Shade",
)
MESSAGE = UUID(int=7)
HEAD = Letterhead("Sun Shade", "1 Example Street", "https://example.com/u/token")


class Wire:
    """Answers as both providers do and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith("Messages.json"):
            return httpx.Response(201, json={"sid": "SM1", "status": "queued", "num_segments": "1"})
        if request.url.path.endswith("/messages"):
            return httpx.Response(200, json={"messages": [{"id": "wamid.1"}]})
        return httpx.Response(202, headers={"X-Message-Id": "mail-1"})

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.requests[-1].content.decode()).items()}


async def deliver(letter: Letter, account: Account = ACCOUNT) -> Wire:
    wire = Wire()
    async with httpx.AsyncClient(transport=httpx.MockTransport(wire)) as http:
        delivery = Delivery(
            TwilioClient(http, "http://twilio.test"),
            SendGridClient(http, "http://mail.test"),
            WhatsAppClient(http, "http://whatsapp.test"),
            "https://leads.example.com/",
        )
        await delivery.send(account, letter, timeout=1)
    return wire


def letter(channel: Channel, text: str = "Hello", expires_in: timedelta = timedelta(hours=3)) -> Letter:
    address = "ada@example.com" if channel is Channel.EMAIL else "+12135550101"
    return Letter(MESSAGE, 2, channel, address, "Your quote", text, HEAD, expires_in)


@pytest.mark.parametrize(
    ("expires_in", "validity"),
    [(timedelta(hours=3), 10_800), (timedelta(hours=13), 36_000), (timedelta(seconds=5), 60)],
)
async def test_a_text_is_not_delivered_after_the_contact_hours(expires_in: timedelta, validity: int) -> None:
    wire = await deliver(letter(Channel.SMS, expires_in=expires_in))

    assert wire.form == {
        "To": "+12135550101",
        "From": "+13105550100",
        "Body": "Hello",
        "ValidityPeriod": str(validity),
    }


async def test_a_messaging_service_picks_the_number_itself() -> None:
    account = Account(ACCOUNT.twilio, "+13105550100", "MG1", None, None, None)

    wire = await deliver(letter(Channel.SMS), account)

    assert wire.form["MessagingServiceSid"] == "MG1"
    assert "From" not in wire.form


async def test_a_mail_has_text_and_html_and_says_how_to_unsubscribe() -> None:
    wire = await deliver(letter(Channel.EMAIL, "One & two\nthree\n\nfour <five>"))

    mail = json.loads(wire.requests[0].content)
    plain, rich = mail["content"]
    assert (plain["type"], rich["type"]) == ("text/plain", "text/html")
    assert plain["value"] == (
        "One & two\nthree\n\nfour <five>\n\nSun Shade\n1 Example Street\n\n"
        "Don't want these e-mails? Unsubscribe: https://example.com/u/token"
    )
    assert "One &amp; two<br>three</p>" in rich["value"]
    assert 'href="https://example.com/u/token"' in rich["value"]
    assert mail["headers"] == {
        "List-Unsubscribe": "<https://example.com/u/token>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert mail["custom_args"] == {"message": f"{MESSAGE}/2"}
    assert mail["from"] == {"email": "quotes@example.com", "name": "Sun Shade"}


def test_only_whole_accounts_can_send() -> None:
    assert senders(ACCOUNT) == {Channel.SMS, Channel.EMAIL}
    assert senders(Account(None, "+13105550100", None, None, "quotes@example.com", None)) == set()
    assert senders(Account(ACCOUNT.twilio, None, None, "SG.key", None, None)) == set()


def test_neither_secrets_nor_people_show_in_logs() -> None:
    shown = repr(ACCOUNT) + repr(letter(Channel.SMS, "private words"))

    for hidden in ("hidden-token", "hidden-key", "+12135550101", "private words", "/u/token"):
        assert hidden not in shown


async def test_each_message_carries_its_own_ids_for_the_news_of_it() -> None:
    tenant = UUID(int=9)
    whatsapp = WhatsAppCredentials("123456", SecretStr("hidden"))
    account = replace(ACCOUNT, tenant_id=tenant, whatsapp=whatsapp)

    text = await deliver(letter(Channel.SMS), account)
    chat = json.loads((await deliver(letter(Channel.WHATSAPP), account)).requests[0].content)

    address = f"https://leads.example.com/webhooks/twilio/status?tenant={tenant}&message={MESSAGE}/2"
    assert text.form["StatusCallback"] == address
    assert chat["biz_opaque_callback_data"] == f"{MESSAGE}/2"
    assert chat["text"]["body"] == "Hello"


@pytest.mark.parametrize(
    ("template", "named"), [("welcome", ("welcome", "en_US")), ("bienvenida:es_MX", ("bienvenida", "es_MX"))]
)
async def test_a_template_goes_out_instead_of_the_text(template: str, named: tuple[str, str]) -> None:
    account = replace(ACCOUNT, whatsapp=WhatsAppCredentials("123456", SecretStr("hidden")))

    wire = await deliver(replace(letter(Channel.WHATSAPP), template=template, parameters=("Ada", "Sun Shade")), account)

    sent = json.loads(wire.requests[0].content)
    values = [{"type": "text", "text": "Ada"}, {"type": "text", "text": "Sun Shade"}]
    assert sent["template"]["components"] == [{"type": "body", "parameters": values}]
    assert (sent["template"]["name"], sent["template"]["language"]["code"]) == named
    assert "text" not in sent


def test_a_whatsapp_account_can_send() -> None:
    account = replace(ACCOUNT, whatsapp=WhatsAppCredentials("123456", SecretStr("hidden")))

    assert senders(account) == {Channel.SMS, Channel.EMAIL, Channel.WHATSAPP}
