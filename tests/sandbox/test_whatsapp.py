from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.whatsapp.client import Template, WhatsAppClient, WhatsAppCredentials
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE, demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.http import open_http
from tests.sandbox.wire import CUSTOMER, WhatsApp

CREDENTIALS = WhatsAppCredentials(SUN_SHADE.whatsapp_number_id, SecretStr(SUN_SHADE.whatsapp_token))


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_text_within_24_hours_is_accepted_and_recorded(whatsapp: WhatsApp) -> None:
    await whatsapp.write()

    answer = await whatsapp.send(text={"body": "Hello Ann"}, biz_opaque_callback_data="m1")

    sent = answer.json()
    assert answer.status_code == 200
    assert sent["contacts"] == [{"input": CUSTOMER, "wa_id": CUSTOMER[1:]}]
    assert sent["messages"][0]["id"].startswith("wamid.")
    (kept,) = (await whatsapp.client.get("/messages", params={"channel": "whatsapp"})).json()["messages"]
    assert (kept["id"], kept["to"], kept["from"]) == (sent["messages"][0]["id"], CUSTOMER, whatsapp.number)
    assert (kept["body"], kept["reference"], kept["company"]) == ("Hello Ann", "m1", SUN_SHADE.name)


async def test_a_text_to_who_has_not_written_is_refused(whatsapp: WhatsApp, world: World) -> None:
    await whatsapp.write(customer="+13105550124")

    assert code(await whatsapp.send()) == (400, 131047)
    assert [message for message in world.messages if message.direction == "outbound"] == []


async def test_a_template_opens_a_conversation_with_its_values(whatsapp: WhatsApp, world: World) -> None:
    answer = await whatsapp.template("quote_ready", "Ann", "Sun Shade")

    assert answer.json()["messages"][0]["message_status"] == "accepted"
    assert world.messages[0].body == "Hi Ann, this is Sun Shade. Your quote is ready. Shall we talk about it?"
    assert code(await whatsapp.send()) == (400, 131047)  # a template opens no 24 hours


@pytest.mark.parametrize(
    ("name", "values", "language", "refused"),
    [
        ("nothing", (), "en_US", (404, 132001)),
        ("quote_ready", ("Ann", "Shop"), "de", (404, 132001)),
        ("quote_ready", ("Ann",), "en_US", (400, 132000)),
        ("quote_ready", ("Ann", "Shop", "more"), "en_US", (400, 132000)),
        ("quote_ready", ("Ann", " "), "en_US", (400, 132012)),
        ("quote_ready", ("Ann", "two\nlines"), "en_US", (400, 132012)),
    ],
)
async def test_a_template_that_does_not_fit_is_refused(
    whatsapp: WhatsApp, name: str, values: tuple[str, ...], language: str, refused: tuple[int, int]
) -> None:
    assert code(await whatsapp.template(name, *values, language=language)) == refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"messaging_product": None}, (400, 100)),
        ({"to": None}, (400, 100)),
        ({"to": "123"}, (400, 131009)),
        ({"to": None, "recipient": "US.1"}, (400, 131026)),
        ({"type": "sticker"}, (400, 131051)),
        ({"text": {"body": ""}}, (400, 100)),
        ({"text": {"body": "x" * 4097}}, (400, 100)),
        ({"text": "Hello"}, (400, 100)),
        ({"type": "template", "template": None}, (400, 131008)),
        ({"biz_opaque_callback_data": "x" * 513}, (400, 100)),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_with_metas_code(
    whatsapp: WhatsApp, changes: dict[str, Any], refused: tuple[int, int]
) -> None:
    await whatsapp.write()
    assert code(await whatsapp.send(**changes)) == refused


async def test_a_token_sends_from_its_own_number_only(whatsapp: WhatsApp) -> None:
    whatsapp.number_id = CLEAR_VIEW.whatsapp_number_id
    foreign = await whatsapp.send()
    whatsapp.token = "wrong"
    wrong = await whatsapp.send()

    assert code(foreign) == (400, 100)
    assert foreign.json()["error"]["error_subcode"] == 33
    assert code(wrong) == (401, 190)


async def test_a_number_has_its_limit_per_second(whatsapp: WhatsApp, world: World) -> None:
    world.whatsapp_numbers[whatsapp.number_id].messages_per_second = 3
    try:
        answers = [await whatsapp.template("quote_ready", "Ann", "Shop") for _ in range(5)]
    finally:
        world.whatsapp_numbers[whatsapp.number_id].messages_per_second = 1_000

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert code(answers[-1]) == (429, 130429)


async def test_number_and_templates_are_shown(whatsapp: WhatsApp, world: World) -> None:
    shown = await whatsapp.client.get(whatsapp.path(""), headers=whatsapp.headers)
    business = world.whatsapp_numbers[whatsapp.number_id].business_id
    path = f"/whatsapp/v25.0/{business}/message_templates"
    templates = await whatsapp.client.get(path, headers=whatsapp.headers)

    assert shown.json()["display_phone_number"] == whatsapp.number[1:]
    assert {(one["name"], one["language"]) for one in templates.json()["data"]} >= {
        ("quote_ready", "en_US"),
        ("quote_ready", "es"),
    }


async def test_who_has_stopped_gets_no_marketing(whatsapp: WhatsApp) -> None:
    await whatsapp.client.post(f"/phones/{CUSTOMER}/optout")

    marketing = await whatsapp.template("still_interested", "Ann")
    utility = await whatsapp.template("quote_ready", "Ann", "Shop")

    assert (code(marketing), utility.status_code) == ((400, 131050), 200)


class Winding:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 12, tzinfo=UTC)

    async def now(self) -> datetime:
        return self.at

    async def wind(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at

    async def reset(self) -> datetime:
        return self.at


async def test_the_24_hours_go_by_the_applications_clock() -> None:
    clock = Winding()
    async with (
        SandboxServer(demo_world(), clock=clock) as server,
        open_http(server.url) as client,
    ):
        whatsapp = WhatsApp(client)
        await whatsapp.write()
        await clock.wind(86_400)
        last_moment = await whatsapp.send()
        await clock.wind(1)
        too_late = await whatsapp.send()

    assert (last_moment.status_code, code(too_late)) == (200, (400, 131047))


@pytest.fixture
def product(client: httpx.AsyncClient, server: SandboxServer) -> WhatsAppClient:
    return WhatsAppClient(client, server.whatsapp_url)


async def test_the_products_client_is_understood(product: WhatsAppClient, whatsapp: WhatsApp, world: World) -> None:
    template = Template("quote_ready", "es", ("Ana", "Sun Shade"))
    await product.send(CREDENTIALS, to=CUSTOMER, template=template, reference="m1", timeout=5)
    await whatsapp.write()
    accepted = await product.send(CREDENTIALS, to=CUSTOMER, text="Hola", timeout=5)
    user_id = world.user_id(SUN_SHADE.name, CUSTOMER)
    await product.send(CREDENTIALS, to=user_id, text="again", timeout=5)

    sent = [message for message in world.messages if message.direction == "outbound"]
    assert [(one.to, one.body[:8], one.reference) for one in sent] == [
        (CUSTOMER, "Hola Ana", "m1"), (CUSTOMER, "Hola", None), (CUSTOMER, "again", None)
    ]  # fmt: skip
    assert accepted.provider_message_id == sent[1].id


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("bad_credentials", ProviderRefused),
        ("error_429", ProviderBusy),
        ("pair_limit", ProviderBusy),
        ("error_500", ProviderBusy),
        ("drop", ProviderUnknown),
        ("accept_then_drop", ProviderUnknown),
    ],
)
async def test_the_products_client_reads_each_fault_as_what_it_is(
    product: WhatsAppClient, whatsapp: WhatsApp, world: World, kind: str, error: type[Exception]
) -> None:
    await whatsapp.write()
    await whatsapp.client.post("/faults", json={"service": "whatsapp", "kind": kind, "count": 1})

    with pytest.raises(error):
        await product.send(CREDENTIALS, to=CUSTOMER, text="Hi", timeout=5)

    recorded = [message for message in world.messages if message.direction == "outbound"]
    assert len(recorded) == (1 if kind == "accept_then_drop" else 0)


async def test_the_products_client_hears_that_the_window_is_closed(product: WhatsAppClient) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await product.send(CREDENTIALS, to=CUSTOMER, text="Hi", timeout=5)
    assert (caught.value.code, caught.value.credentials) == ("131047", False)
