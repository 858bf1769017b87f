from __future__ import annotations

import re

from lead_orchestrator.sandbox.seed import CLEAR_VIEW, DEMO_FRANCHISES, LOS_ANGELES_LOCATION_ID, SUN_SHADE, demo_world


def test_the_demo_has_two_franchises_with_what_a_tenant_needs() -> None:
    world = demo_world()

    assert [company.name for company in world.companies.values()] == ["Sun Shade Tint", "Clear View Films"]
    assert [len(franchise.locations) for franchise in DEMO_FRANCHISES] == [3, 2]
    assert SUN_SHADE.locations[0].id == LOS_ANGELES_LOCATION_ID
    assert [shop.timezone for shop in CLEAR_VIEW.locations] == ["America/Chicago", "America/New_York"]
    assert all(re.fullmatch("[0-9a-f]{24}", shop.id) for one in DEMO_FRANCHISES for shop in one.locations)
    assert all(re.fullmatch(r"\+1\d{3}55501\d\d", number) for one in DEMO_FRANCHISES for number in one.twilio_numbers)


def test_ids_and_numbers_belong_to_one_franchise() -> None:
    world = demo_world()

    ids = [row for company in world.companies.values() for row in (*company.locations, *company.canned_services)]
    numbers = [number for account in world.twilio_accounts.values() for number in account.numbers]

    assert len(set(ids)) == len(ids)
    assert len(set(numbers)) == len(numbers)


def test_the_product_is_registered_where_it_lives() -> None:
    world = demo_world(product_url="http://127.0.0.1:3000/", webhook_secrets={"Sun Shade Tint": "other"})

    hooks = [hook for company in world.companies.values() for hook in company.webhooks.values()]
    urls = {number.sms_url for account in world.twilio_accounts.values() for number in account.numbers.values()}
    assert {hook["url"] for hook in hooks} == {"http://127.0.0.1:3000/webhooks/shopmonkey/order"}
    assert [hook["secret"] for hook in hooks] == ["other", CLEAR_VIEW.shopmonkey_webhook_secret]
    assert urls == {"http://127.0.0.1:3000/webhooks/twilio/sms"}
