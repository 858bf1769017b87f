from __future__ import annotations

import httpx
import pytest

from lead_orchestrator.sandbox.seed import CLEAR_VIEW, LOS_ANGELES_LOCATION_ID, SUN_SHADE
from lead_orchestrator.sandbox.world import Company, World
from tests.sandbox.wire import CUSTOMER, ShopMonkey, quote


async def test_a_wrong_key_is_refused(client: httpx.AsyncClient) -> None:
    answer = await ShopMonkey(client, "wrong").get("/order")

    assert answer.status_code == 401
    assert answer.json() == {"success": False, "code": "UNAUTHORIZED", "message": "Invalid API key"}


async def test_a_quote_is_an_order_that_meets_the_criteria(client: httpx.AsyncClient, shopmonkey: ShopMonkey) -> None:
    placed = (await client.post("/quotes", json=quote())).json()

    answer = await shopmonkey.get(f"/order/{placed['orderId']}")

    order = answer.json()["data"]
    expected = {
        "status": "Estimate",
        "authorized": False,
        "invoiced": False,
        "paid": False,
        "messageCount": 0,
        "appointmentDates": [],
        "name": "New Quote - Ann Lee",
        "workflowStatusId": "619813fb2c9c3e8ce527be48",
        "locationId": LOS_ANGELES_LOCATION_ID,
        "customerId": placed["customerId"],
        "vehicleId": placed["vehicleId"],
    }
    assert {name: order[name] for name in expected} == expected
    assert "customer" not in order  # the row of one order is bare


async def test_contact_data_is_in_the_lists_only(client: httpx.AsyncClient, shopmonkey: ShopMonkey) -> None:
    placed = (await client.post("/quotes", json=quote(optIn=False, subscribed=False))).json()

    customer = (await shopmonkey.get(f"/customer/{placed['customerId']}")).json()["data"]

    assert (customer["email"], customer["phone"]) == (None, None)
    assert [(one["number"], one["primary"], one["optIn"]) for one in customer["phoneNumbers"]] == [
        (CUSTOMER, True, False)
    ]
    assert [(one["email"], one["subscribed"]) for one in customer["emails"]] == [("ann@example.com", False)]


async def test_vehicle_services_location_and_statuses_are_served(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey
) -> None:
    service = "Premium Full Vehicle Carbon Tint"
    placed = (await client.post("/quotes", json=quote(services=[service]))).json()

    vehicle = (await shopmonkey.get(f"/vehicle/{placed['vehicleId']}")).json()["data"]
    services = (await shopmonkey.get(f"/order/{placed['orderId']}/service")).json()["data"]
    location = (await shopmonkey.get(f"/location/{LOS_ANGELES_LOCATION_ID}")).json()["data"]
    statuses = (await shopmonkey.get("/workflow_status", locationId=LOS_ANGELES_LOCATION_ID)).json()["data"]

    assert (vehicle["year"], vehicle["make"], vehicle["model"]) == (2021, "Tesla", "Model 3")
    assert [one["name"] for one in services] == [service]
    assert (location["name"], location["timezone"]) == ("Los Angeles", "America/Los_Angeles")
    assert statuses[0]["id"] == "619813fb2c9c3e8ce527be48"


async def test_another_companys_rows_do_not_exist(client: httpx.AsyncClient) -> None:
    placed = (await client.post("/quotes", json=quote())).json()
    other = ShopMonkey(client, CLEAR_VIEW.shopmonkey_api_key)

    paths = [f"/order/{placed['orderId']}", f"/customer/{placed['customerId']}", f"/vehicle/{placed['vehicleId']}"]
    answers = [await other.get(path) for path in [*paths, f"/location/{LOS_ANGELES_LOCATION_ID}"]]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await other.get("/order")).json()["meta"]["total"] == 0


async def test_customers_are_found_by_search(client: httpx.AsyncClient, shopmonkey: ShopMonkey) -> None:
    await client.post("/quotes", json=quote())
    await client.post("/quotes", json=quote(firstName="Bob"))

    answer = await shopmonkey.post("/customer/search", {"where": {"firstName": "Bob"}, "limit": 10})

    assert [row["firstName"] for row in answer.json()["data"]] == ["Bob"]


async def test_each_location_has_the_catalog_without_durations(shopmonkey: ShopMonkey) -> None:
    answer = await shopmonkey.get("/canned_service", locationId=LOS_ANGELES_LOCATION_ID)

    services = answer.json()["data"]
    prices = {service["name"]: service["totalCents"] for service in services}
    assert (len(services), min(prices.values()), max(prices.values())) == (23, 10900, 60000)
    assert not any("duration" in name.lower() for name in services[0])


async def test_too_many_requests_say_when_to_come_back(shopmonkey: ShopMonkey, company: Company) -> None:
    company.requests_per_minute = 2

    answers = [await shopmonkey.get("/order") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining-Minute"] for answer in answers] == ["1", "0", "0"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "url": "ftp://example.com", "triggers": ["Order"]},
        {"name": "a", "url": "http://[", "triggers": ["Order"]},
        {"name": "a", "url": "http://example.com", "triggers": []},
        {"name": "a", "url": "http://example.com", "triggers": ["Order"], "locationId": "unknown"},
        {"url": "http://example.com", "triggers": ["Order"]},
        ["no object"],
    ],
)
async def test_a_webhook_that_cannot_work_is_refused(shopmonkey: ShopMonkey, body: object) -> None:
    answer = await shopmonkey.post("/webhook", body)

    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_a_webhook_lives_from_post_to_delete_and_never_shows_its_secret(shopmonkey: ShopMonkey) -> None:
    body = {"name": "Orders", "url": "http://127.0.0.1:9/hook", "triggers": ["Order"], "secret": "super-secret"}

    made = (await shopmonkey.post("/webhook", body)).json()["data"]
    again = await shopmonkey.post("/webhook", body)
    changed = (await shopmonkey.put(f"/webhook/{made['id']}", {"enabled": False})).json()["data"]
    with_type = await shopmonkey.delete(f"/webhook/{made['id']}", **{"Content-Type": "application/json"})
    without = await shopmonkey.delete(f"/webhook/{made['id']}")

    assert "secret" not in made
    assert (made["enabled"], changed["enabled"]) == (True, False)
    assert again.status_code == 409
    assert (with_type.status_code, without.status_code) == (400, 200)
    assert (await shopmonkey.get("/webhook")).json()["data"] == []


async def test_an_order_is_changed_by_put(client: httpx.AsyncClient, shopmonkey: ShopMonkey, world: World) -> None:
    placed = (await client.post("/quotes", json=quote())).json()

    await shopmonkey.put(f"/order/{placed['orderId']}", {"messageCount": 1, "unknown": 2})

    order = world.companies[SUN_SHADE.company_id].orders[placed["orderId"]]
    assert order["messageCount"] == 1
    assert "unknown" not in order
