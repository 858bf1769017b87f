from __future__ import annotations

from html.parser import HTMLParser

import httpx
import pytest

from lead_orchestrator.sandbox.seed import LOS_ANGELES_LOCATION_ID
from lead_orchestrator.sandbox.world import World
from tests.sandbox.wire import CUSTOMER, SendGrid, Twilio, quote

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """What stands on a page: its labels and named fields, and whether its tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.labelled: set[str] = set()
        self.fields: dict[str, dict[str, str | None]] = {}
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "label":
            self.labelled.add(values["for"] or "")
        if tag in ("input", "select", "textarea") and values.get("type") != "hidden":
            self.fields[values.get("id") or values.get("name") or ""] = values
        self.outside += [value for name, value in attrs if name in ("src", "href") and value and "://" in value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "path",
    ["/", "/quote", "/phone", "/phone?channel=whatsapp", "/phone?channel=email", "/calendar", "/clock", "/faults"],
)
async def test_every_page_is_whole_labelled_and_loads_nothing_from_elsewhere(
    client: httpx.AsyncClient, twilio: Twilio, sendgrid: SendGrid, path: str
) -> None:
    await client.post("/quotes", json=quote())
    await client.post("/faults", json={"service": "webhook", "kind": "lose"})
    await twilio.send()
    await sendgrid.send()

    answer = await client.get(path)

    page = Page(answer.text)
    unlabelled = [name for name, values in page.fields.items() if name not in page.labelled | {""}]
    assert answer.status_code == 200
    assert page.open == []
    assert page.outside == []
    assert [name for name in unlabelled if "aria-label" not in page.fields[name]] == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_quote_is_asked_for_with_the_form(client: httpx.AsyncClient, world: World) -> None:
    form = {
        "locationId": LOS_ANGELES_LOCATION_ID,
        "firstName": "Ann",
        "lastName": "Lee",
        "phone": "310 555 0123",
        "email": "",
        "year": "2021",
        "make": "Tesla",
        "model": "",
        "services": ["Sunroof Tint", "Headlight Film"],
        "optIn": "yes",
    }

    answer = await client.post("/quote", data=form)

    ((company, customer),) = world.customers()
    assert answer.status_code == 200
    assert "Your quote is on its way" in answer.text
    assert [(one["number"], one["optIn"]) for one in customer["phoneNumbers"]] == [(CUSTOMER, True)]
    assert customer["emails"] == []
    assert [order["totalCostCents"] for order in company.orders.values()] == [12900 + 17900]


async def test_a_form_that_cannot_be_used_keeps_what_was_typed(client: httpx.AsyncClient, world: World) -> None:
    form = {"locationId": LOS_ANGELES_LOCATION_ID, "firstName": EVIL, "email": "ann@nowhere"}

    answers = [await client.post("/quote", data=form), await client.post("/quote", data={"firstName": "Ann"})]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert 'role="alert"' in answers[0].text
    assert EVIL not in answers[0].text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answers[0].text
    assert list(world.customers()) == []


async def test_the_overview_escapes_the_story(client: httpx.AsyncClient, world: World) -> None:
    world.tell("delivery", subject=EVIL)

    assert EVIL not in (await client.get("/")).text
