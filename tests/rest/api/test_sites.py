"""Browsers on listed sites may call, others are told nothing; callers of one address wait when they call too often."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.database import Cluster
from tests.factories import phone_number
from tests.jobs.relay import Relay
from tests.rest.api.shop import ORIGIN, Shop, client, open_shop
from tests.serving import bearer, serving

EVIL = "https://evil.example.com"


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_a_preflight_is_answered_for_listed_sites_alone(shop: Shop) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type, idempotency-key"}
    for path in ("/api/leads", "/api/bookings", "/api/slots", "/api/schedule"):
        listed = await shop.http.options(path, headers={"origin": ORIGIN, **asked, **client(None)})
        other = await shop.http.options(path, headers={"origin": EVIL, **asked, **client(None)})

        assert (listed.status_code, listed.content) == (204, b"")
        assert listed.headers["access-control-allow-origin"] == ORIGIN
        assert {"content-type", "idempotency-key"} <= set(listed.headers["access-control-allow-headers"].split(", "))
        assert "POST" in listed.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in listed.headers
        assert cors(other) == {}
        for answer in (listed, other):
            assert "Origin" in answer.headers["vary"]


async def test_an_answer_names_the_listed_site_and_a_refused_one_is_told_and_does_nothing(shop: Shop) -> None:
    phone = phone_number()

    read = [
        await shop.get("/api/services", params={"realtorId": shop.slug}, headers={"origin": o}) for o in (ORIGIN, EVIL)
    ]
    wrong = await shop.post("/api/leads", {"realtorId": shop.slug, "phone": "x"}, origin=ORIGIN)
    unread = await shop.post("/api/leads", {"phone": 7}, origin=ORIGIN)
    forged = await shop.post("/api/leads", {"realtorId": shop.slug, "phone": phone}, origin=EVIL)
    at_another_shop = await shop.post("/api/leads", {"realtorId": shop.other_slug, "phone": phone}, origin=ORIGIN)

    assert [answer.status_code for answer in read] == [200, 403]
    for answer in (read[0], wrong, unread):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert (forged.status_code, forged.json()["error"]["code"], cors(forged)) == (403, "ORIGIN_NOT_ALLOWED", {})
    assert (at_another_shop.status_code, cors(at_another_shop)) == (403, {})
    assert await shop.messages(phone) == []
    for answer in (*read, wrong, forged):
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", ["null", "", "*", f"{ORIGIN}.evil.example.com", f"{ORIGIN}/", ORIGIN.upper(), "http://www.example.com"]
)
async def test_what_only_looks_like_a_listed_site_is_not_one(shop: Shop, origin: str) -> None:
    answer = await shop.get("/api/services", params={"realtorId": shop.slug}, headers={"origin": origin})

    assert (answer.status_code, cors(answer)) == (403, {})


async def test_what_staff_reads_is_shown_to_no_other_site(shop: Shop) -> None:
    answers = [
        await shop.get("/api/leads", headers=bearer(shop.stack) | {"origin": origin}) for origin in (ORIGIN, EVIL)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [cors(answer).get("access-control-allow-origin") for answer in answers] == [ORIGIN, None]


@pytest_asyncio.fixture(scope="module")
async def narrow(cluster: Cluster) -> AsyncIterator[Shop]:
    """A shop with small budgets, whose database can be away."""
    limits = {"public_writes_per_minute": 4, "public_reads_per_minute": 20}
    async with open_shop(cluster, **limits) as shop:
        yield shop


async def test_an_address_that_calls_too_often_waits_and_others_do_not(narrow: Shop) -> None:
    address, phone = f"198.51.100.{secrets.randbelow(256)}", phone_number()

    answers = [await narrow.lead(phone) for _ in range(2)]
    body = {"realtorId": narrow.slug, "phone": phone}
    flood = [await narrow.post("/api/leads", body, address, origin=ORIGIN) for _ in range(4)]
    other = await narrow.post("/api/leads", body, "203.0.113.5")

    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.status_code for answer in flood] == [201, 201, 429, 429]
    assert 1 <= int(flood[-1].headers["retry-after"]) <= 60
    assert flood[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert flood[-1].headers["access-control-allow-origin"] == ORIGIN
    assert other.status_code == 201


async def test_an_address_that_a_client_writes_itself_is_not_believed(narrow: Shop) -> None:
    """Behind a balancer the last address is the balancer's word, those before it are the client's."""
    real = "192.0.2.77"
    body = {"realtorId": narrow.slug, "phone": phone_number()}

    flood = [await narrow.post("/api/leads", body, f"10.9.{number}.1, {real}") for number in range(4)]

    assert [answer.status_code for answer in flood] == [201, 201, 429, 429]


async def test_a_shop_has_a_budget_of_its_own_whatever_the_addresses(narrow: Shop) -> None:
    """Thirty addresses' worth: 60 at once."""
    body = {"realtorId": narrow.other_slug, "phone": "no number"}

    statuses = [(await narrow.post("/api/leads", body)).status_code for _ in range(70)]

    assert statuses[0] == 400
    assert statuses[-1] == 429
    assert (await narrow.lead(phone_number())).status_code == 201


async def test_pages_are_limited_as_well_and_say_when_to_come_back(narrow: Shop) -> None:
    address = "192.0.2.78"

    pages = [await narrow.get(f"/survey/{narrow.slug}", address) for _ in range(12)]

    assert [page.status_code for page in pages] == [200] * 10 + [429] * 2
    assert int(pages[-1].headers["retry-after"]) >= 1
    assert pages[-1].headers["content-type"].startswith("text/html")


async def test_what_a_page_sends_counts_as_what_a_program_sends(narrow: Shop) -> None:
    sent = [await narrow.form(f"/survey/{narrow.slug}", {"send": "1", "phone": "12"}, "192.0.2.80") for _ in range(4)]

    assert [answer.status_code for answer in sent] == [400, 400, 429, 429]


async def test_a_mail_program_unsubscribes_all_its_readers_from_one_address(narrow: Shop) -> None:
    program, links = "192.0.2.79", []
    for _ in range(6):
        phone = phone_number()
        assert (await narrow.lead(phone, email=f"m{phone[1:]}@example.com")).status_code == 201
        links.append(
            narrow.stack.services.links.unsubscribe(narrow.stack.tenant_id, (await narrow.person(phone))["id"])
        )

    answers = [await narrow.form(f"/u/{link.rpartition('/')[2]}", {}, program) for link in links]
    guesses = [await narrow.form(f"/u/guess{number}", {}, program) for number in range(4)]
    again = [await narrow.form(f"/u/{links[0].rpartition('/')[2]}", {}, program) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 6
    assert [answer.status_code for answer in guesses] == [404, 404, 429, 429]
    assert [answer.status_code for answer in again] == [200, 429, 429]


async def test_while_the_database_is_away_everything_says_so_and_comes_back(shop: Shop) -> None:
    settings = shop.stack.settings
    async with (
        Relay.to(settings.database_url or "") as relay,
        serving(settings.model_copy(update={"database_url": relay.url})) as http,
    ):
        body = {"realtorId": shop.slug, "phone": phone_number()}
        before = await http.post("/api/leads", json=body, headers=client(None))
        await relay.cut()
        away = [
            await http.post("/api/leads", json=body, headers=client(None)),
            await http.get("/api/services", params={"realtorId": shop.slug}, headers=client(None)),
            await http.post("/api/leads", json=body, headers=client(None) | {"origin": ORIGIN}),
        ]
        page = await http.get(f"/survey/{shop.slug}", headers=client(None))
        await relay.mend()
        after = await http.post("/api/leads", json=body, headers=client(None))

    assert (before.status_code, after.status_code) == (201, 201)
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in away] == [(503, "UNAVAILABLE")] * 3
    assert int(away[0].headers["retry-after"]) >= 1
    assert (page.status_code, "retry-after" in page.headers) == (503, True)
