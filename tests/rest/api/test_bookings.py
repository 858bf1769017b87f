"""Services, free times and bookings by REST: a time is taken once, a token books once, and nothing is told of who is known."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories import phone_number
from tests.rest.api.shop import ORIGIN, Shop


async def booked(shop: Shop, **body: Any) -> Any:
    headers = body.pop("headers", {})
    return await shop.post("/api/bookings", {"realtorId": shop.slug, **body}, **headers)


async def appointments(shop: Shop, phone: str) -> list[dict[str, Any]]:
    return await shop.stack.rows(
        "SELECT a.* FROM appointments a JOIN leads l ON l.id = a.lead_id WHERE l.phone = :phone ORDER BY a.id",
        phone=phone,
    )


async def test_a_customer_sees_services_and_times_and_books_one_with_what_the_form_gave(shop: Shop) -> None:
    phone = phone_number()
    services = (await shop.get("/api/services", params={"realtorId": shop.slug}, headers={"origin": ORIGIN})).json()
    token = (await shop.lead(phone, firstName="Ada")).json()["token"]
    slot = (await shop.slots(3))[0]

    answer = await booked(shop, slotToken=slot["token"], leadToken=token, notes="The blue one")

    assert [(one["id"], one["name"], one["priceCents"]) for one in services["services"]] == [
        (shop.service_id, "Front Windows", 10_900)
    ]
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["status"], made["startsAt"], made["services"]) == ("CONFIRMED", slot["startsAt"], ["Front Windows"])
    [row] = await appointments(shop, phone)
    assert row["notes"] == "The blue one"
    assert (await shop.person(phone))["status"] == "BOOKED"
    manage = await shop.get("/a/" + made["manageUrl"].rpartition("/")[2])
    assert (manage.status_code, "Front Windows" in manage.text) == (200, True)


async def test_a_time_that_is_gone_is_said_so_and_the_token_is_still_good(shop: Shop) -> None:
    phone = phone_number()
    token = (await shop.lead(phone)).json()["token"]
    first, second = (await shop.slots(4))[:3:2]
    await booked(shop, slotToken=first["token"], firstName="Eve", phone=phone_number())

    gone = await booked(shop, slotToken=first["token"], leadToken=token)
    then = await booked(shop, slotToken=second["token"], leadToken=token)

    assert (gone.status_code, gone.json()["error"]["code"]) == (400, "SLOT_TAKEN")
    assert then.status_code == 201


async def test_one_token_in_the_hands_of_twenty_books_once(shop: Shop) -> None:
    phone = phone_number()
    token = (await shop.lead(phone)).json()["token"]
    slots = (await shop.slots(5))[:10]

    answers = await asyncio.gather(
        *(booked(shop, slotToken=slots[number // 2]["token"], leadToken=token) for number in range(20))
    )

    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = {answer.json()["error"]["code"] for answer in answers if answer.status_code != 201}
    assert len(made) == 1
    assert refused == {"TOKEN_USED"}
    assert len(await appointments(shop, phone)) == 1


async def test_the_same_request_with_the_same_key_is_answered_with_what_was_made(shop: Shop) -> None:
    phone, key = phone_number(), {"Idempotency-Key": "my-key"}
    slots = await shop.slots(6)
    who = {"firstName": "Ada", "phone": phone}

    first, again = [await booked(shop, slotToken=slots[0]["token"], headers=key, **who) for _ in range(2)]
    other = await booked(shop, slotToken=slots[4]["token"], headers=key, **who)

    assert (first.status_code, again.json()) == (201, first.json())
    assert (other.status_code, other.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_REUSED")
    assert len(await appointments(shop, phone)) == 1


async def test_who_books_with_a_known_number_is_told_nothing_and_changes_nothing(shop: Shop) -> None:
    phone = phone_number()
    mine = f"ada{phone[1:]}@example.com"
    await shop.lead(phone, firstName="Ada", email=mine)
    slot = (await shop.slots(7))[0]

    answer = await booked(shop, slotToken=slot["token"], firstName="Eve", lastName="Other", phone=phone)

    row = await shop.person(phone)
    assert (row["first_name"], row["last_name"], row["email"]) == ("Ada", "Other", mine)
    page = await shop.get("/a/" + answer.json()["manageUrl"].rpartition("/")[2])
    for secret in ("Ada", mine, str(row["id"])):
        assert secret not in answer.text
        assert secret not in page.text


async def test_a_token_of_one_shop_is_no_good_at_another(shop: Shop) -> None:
    phone = phone_number()
    token = (await shop.lead(phone)).json()["token"]
    slot = (await shop.slots(8))[0]
    when = {"serviceIds": [shop.service_id], "startsAt": slot["startsAt"]}

    elsewhere = await shop.post("/api/bookings", {"realtorId": shop.other_slug, "leadToken": token, **when})
    with_its_time = await shop.post(
        "/api/bookings", {"locationId": shop.other_slug, "slotToken": slot["token"], "leadToken": token}
    )
    made_up = await booked(shop, leadToken="x" * 80, **when)

    codes = [answer.json()["error"]["code"] for answer in (elsewhere, with_its_time, made_up)]
    assert codes == ["UNAUTHENTICATED", "SLOT_TOKEN_INVALID", "UNAUTHENTICATED"]
    assert await appointments(shop, phone) == []


async def test_a_time_offered_by_one_shop_is_not_booked_at_another(shop: Shop) -> None:
    slot = (await shop.slots(8))[1]
    body = {"realtorId": shop.other_slug, "slotToken": slot["token"], "firstName": "Ada", "phone": phone_number()}

    answer = await shop.post("/api/bookings", body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "SLOT_TOKEN_INVALID")
    assert str(shop.key) not in answer.text


async def test_what_is_wrong_with_a_booking_is_said_with_its_path(shop: Shop) -> None:
    slot = (await shop.slots(9))[0]
    token = {"slotToken": slot["token"]}
    who = {"firstName": "Ada", "phone": phone_number()}
    cases: list[tuple[dict[str, Any], str, list[str]]] = [
        ({**who}, "SLOT_NEEDED", ["slotToken"]),
        ({**who, **token, "startsAt": slot["startsAt"]}, "SLOT_NEEDED", ["slotToken"]),
        ({**who, "startsAt": slot["startsAt"]}, "BAD_USER_INPUT", ["serviceIds"]),
        ({**who, "serviceIds": [shop.service_id]}, "BAD_USER_INPUT", ["startsAt"]),
        ({**who, "serviceIds": [shop.service_id], "startsAt": "2030-01-01T09:00:00"}, "BAD_USER_INPUT", ["startsAt"]),
        ({**who, "serviceIds": [shop.service_id], "startsAt": "tomorrow"}, "BAD_USER_INPUT", ["startsAt"]),
        ({**who, "serviceIds": ["x"], "startsAt": slot["startsAt"]}, "INVALID_ID", ["serviceIds", "0"]),
        ({**who, "serviceIds": [shop.service_id], "startsAt": "2020-01-01T09:00:00Z"}, "IN_THE_PAST", ["startsAt"]),
        ({**who, "slotToken": "made up"}, "SLOT_TOKEN_INVALID", ["slotToken"]),
        ({**token, "phone": phone_number()}, "CUSTOMER_NEEDED", ["firstName"]),
        ({**token, "firstName": "Ada"}, "INVALID_PHONE", ["phone"]),
        ({**token, "firstName": "Ada", "phone": "secret"}, "INVALID_PHONE", ["phone"]),
        ({**token, **who, "email": "secret"}, "INVALID_EMAIL", ["email"]),
        ({**token, **who, "website": "x"}, "LOOKS_AUTOMATED", ["website"]),
    ]

    for body, code, field in cases:
        answer = await booked(shop, **body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["field"]) == (400, code, field), body
        assert "secret" not in answer.text


async def test_times_are_asked_for_by_day_and_what_is_wrong_is_named(shop: Shop) -> None:
    query = {"realtorId": shop.slug, "serviceIds": [shop.service_id, shop.service_id]}

    both = (await shop.get("/api/slots", params=query)).json()
    comma = (
        await shop.get("/api/slots", params={**query, "serviceIds": f"{shop.service_id},{shop.service_id}"})
    ).json()

    assert both["timeZone"] == "America/Los_Angeles"
    assert len({slot["startsAt"][:10] for slot in both["slots"]}) >= 14
    assert [slot["startsAt"] for slot in comma["slots"]] == [slot["startsAt"] for slot in both["slots"]]
    for wrong, field in (
        ({"serviceIds": "svc_x"}, ["serviceIds", "0"]),
        ({"serviceIds": ""}, ["serviceIds"]),
        ({"from": "soon"}, ["from"]),
        ({"from": "2030-01-02", "to": "2030-01-01"}, ["to"]),
        ({"from": "2030-01-01", "to": "2030-12-31"}, ["to"]),
        ({"realtorId": ""}, ["realtorId"]),
    ):
        answer = await shop.get("/api/slots", params={**query, **wrong})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), wrong
