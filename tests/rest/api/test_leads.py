"""Somebody asks by a form: people get in and are welcomed once, programs do not, and nothing that is stored is told or changed."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest

from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.service import locked
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import phone_number
from tests.rest.api.shop import ORIGIN, SURVEY, Shop, client
from tests.serving import bearer


def refused(answer: Any) -> tuple[int, str, list[str] | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


async def test_a_person_who_asks_becomes_a_lead_and_is_welcomed_by_one_text(shop: Shop) -> None:
    phone, wording = phone_number(), "Text me about my quote. Reply STOP to end it."
    given = {"firstName": " Ada ", "lastName": "Example", "timeZone": "America/Denver", "postalCode": "90001"}
    consent = {"sms": True, "email": False, "wording": wording}
    body = {"realtorId": shop.slug, "phone": phone, "email": f"a{phone[1:]}@Example.com", "consent": consent, **given}

    answer = await shop.post("/api/leads", body, "203.0.113.77", origin=ORIGIN)
    await shop.dispatch()
    await shop.dispatch()

    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"token", "expiresAt", "next", "bookingUrl"}
    lead = await shop.person(phone)
    assert (lead["first_name"], lead["last_name"], lead["email"]) == ("Ada", "Example", f"a{phone[1:]}@example.com")
    assert (lead["time_zone"], lead["postal_code"], lead["source"]) == ("America/Denver", "90001", "API")
    lines = await shop.stack.rows("SELECT * FROM consents WHERE lead_id = :id ORDER BY channel", id=lead["id"])
    assert [(one["channel"], one["granted"], one["source"], one["wording"], str(one["ip"])) for one in lines] == [
        ("EMAIL", False, f"api: {ORIGIN}", wording, "203.0.113.77"),
        ("SMS", True, f"api: {ORIGIN}", wording, "203.0.113.77"),
    ]
    assert all(one["at"] >= lead["created_at"] for one in lines)
    [text] = shop.stack.texts(phone)
    assert "Hi Ada" in text
    welcome, touch = sorted(await shop.messages(phone), key=lambda message: message["due_at"])
    assert (welcome["kind"], welcome["status"]) == ("WELCOME", "SENT")
    assert (touch["kind"], touch["touch_number"], touch["due_at"] - welcome["due_at"]) == (
        "TOUCH",
        1,
        timedelta(days=1),
    )


async def test_a_shop_is_named_by_its_slug_or_its_id(shop: Shop) -> None:
    for name in (
        {"realtorId": shop.id},
        {"locationId": shop.slug},
        {"locationId": shop.id},
        {"realtorId": str(shop.key)},
    ):
        phone = phone_number()
        assert (await shop.post("/api/leads", {**name, "phone": phone})).status_code == 201
        assert (await shop.person(phone))["location_id"] == shop.key


SECRET = "nobody's business"


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "BAD_USER_INPUT", ["phone"]),
        ({"phone": "+12135550101"}, 400, "SHOP_NEEDED", ["realtorId"]),
        ({"realtorId": "a", "locationId": "b", "phone": "+12135550101"}, 400, "SHOP_NEEDED", ["realtorId"]),
        ({"realtorId": "", "phone": "+12135550101"}, 400, "BAD_USER_INPUT", ["realtorId"]),
        ({"realtorId": None, "phone": "+12135550101"}, 400, "BAD_USER_INPUT", ["realtorId"]),
        ({"realtorId": 7, "phone": "+12135550101"}, 400, "BAD_USER_INPUT", ["realtorId"]),
        ({"realtorId": "x" * 64, "phone": "+12135550101"}, 400, "BAD_USER_INPUT", ["realtorId"]),
        ({"realtorId": "a\tb", "phone": "+12135550101"}, 400, "INVALID_ID", ["realtorId"]),
        ({"realtorId": "nowhere", "phone": "+12135550101"}, 404, "NOT_FOUND", ["realtorId"]),
        ({"realtorId": "HERE", "phone": None}, 400, "BAD_USER_INPUT", ["phone"]),
        ({"realtorId": "HERE", "phone": ""}, 400, "BAD_USER_INPUT", ["phone"]),
        ({"realtorId": "HERE", "phone": SECRET}, 400, "INVALID_PHONE", ["phone"]),
        ({"realtorId": "HERE", "phone": "12"}, 400, "INVALID_PHONE", ["phone"]),
        ({"realtorId": "HERE", "phone": "+12135550101", "email": SECRET}, 400, "INVALID_EMAIL", ["email"]),
        (
            {"realtorId": "HERE", "phone": "+12135550101", "timeZone": "Mars/Base"},
            400,
            "INVALID_TIME_ZONE",
            ["timeZone"],
        ),
        ({"realtorId": "HERE", "phone": "+12135550101", "firstName": SECRET * 9}, 400, "BAD_USER_INPUT", ["firstName"]),
        ({"realtorId": "HERE", "phone": "+12135550101", "fone": 1}, 400, "BAD_USER_INPUT", ["fone"]),
        ({"realtorId": "HERE", "phone": "+12135550101", "answers": SECRET}, 400, "BAD_USER_INPUT", ["answers"]),
        (
            {"realtorId": "HERE", "phone": "+12135550101", "vehicle": {"year": 1}},
            400,
            "BAD_USER_INPUT",
            ["vehicle", "year"],
        ),
        (
            {"realtorId": "HERE", "phone": "+12135550101", "consent": {"sms": "yes"}},
            400,
            "BAD_USER_INPUT",
            ["consent", "sms"],
        ),
        (
            {"realtorId": "HERE", "phone": "+12135550101", "surveyVersion": 99},
            400,
            "UNKNOWN_VERSION",
            ["surveyVersion"],
        ),
        ({"realtorId": "HERE", "phone": "+12135550101", "formToken": "x"}, 400, "FORM_EXPIRED", ["formToken"]),
    ],
)
async def test_what_is_wrong_is_said_with_its_path_and_without_what_is_personal(
    shop: Shop, body: dict[str, Any], status: int, code: str, field: list[str] | None
) -> None:
    given = {name: shop.slug if value == "HERE" else value for name, value in body.items()}
    before = await shop.stack.rows("SELECT count(*) AS leads FROM leads")

    answer = await shop.post("/api/leads", given)

    assert refused(answer) == (status, code, field)
    assert SECRET not in answer.text
    assert await shop.stack.rows("SELECT count(*) AS leads FROM leads") == before


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "INVALID_BODY"),
        (b"[]", "application/json", 400, "INVALID_BODY"),
        (b"", "application/json", 400, "INVALID_BODY"),
        (b'"x"', "application/json", 400, "INVALID_BODY"),
        (b"[" * 20_000, "application/json", 400, "INVALID_BODY"),
        (b'{"phone":"\\ud800"}', "application/json", 400, "INVALID_BODY"),
        (b'{"phone":"\\u0000"}', "application/json", 400, "BAD_USER_INPUT"),
        (b"\xff\xfe", "application/json", 400, "INVALID_BODY"),
        (b'{"realtorId":"x","phone":"+12135550101"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"phone=1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"phone":"' + b"1" * 40_000 + b'"}', "application/json", 413, "TOO_LARGE"),
    ],
)
async def test_what_is_no_object_of_a_usual_size_is_refused(
    shop: Shop, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = await shop.http.post("/api/leads", content=content, headers={"content-type": kind, **client(None)})

    assert refused(answer)[:2] == (status, code)


async def test_a_method_that_is_not_there_is_named(shop: Shop) -> None:
    answer = await shop.http.delete("/api/leads")

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "POST", "OPTIONS"}


async def test_asking_again_fills_blanks_overwrites_nothing_and_is_told_the_same(shop: Shop) -> None:
    phone, other = phone_number(), phone_number()
    mine = f"ada{phone[1:]}@example.com"
    first = {"firstName": "Ada", "email": mine, "vehicle": {"make": "Honda"}, "answers": {"a": "one"}}
    await shop.lead(phone, **first)
    attack = {"firstName": "Eve", "lastName": "Other", "email": f"eve{phone[1:]}@example.com", "answers": {"a": "two"}}

    again = await shop.lead(phone, **attack, vehicle={"make": "Ford"}, timeZone="America/Denver")
    stranger = await shop.lead(other, **attack, vehicle={"make": "Ford"}, timeZone="America/Denver")

    row = await shop.person(phone)
    assert (row["first_name"], row["last_name"], row["email"]) == ("Ada", "Other", mine)
    assert (row["vehicle"], row["time_zone"]) == ({"make": "Honda"}, "America/Denver")
    assert (row["survey"]["answers"], [one["answers"] for one in row["survey"]["more"]]) == (
        {"a": "one"},
        [{"a": "two"}],
    )
    assert (again.status_code, stranger.status_code) == (201, 201)
    shown, unknown = again.json(), stranger.json()
    assert {name: type(value) for name, value in shown.items()} == {
        name: type(value) for name, value in unknown.items()
    }
    assert (shown["next"], len(shown["token"])) == (unknown["next"], len(unknown["token"]))
    raw = base64.urlsafe_b64decode(shown["token"] + "==")
    for stored in ("Ada", mine, "Honda", "one", str(row["id"])):
        assert stored not in again.text
    assert row["id"].bytes not in raw


async def test_nobody_is_texted_more_than_once_a_day_however_often_their_number_is_typed(shop: Shop) -> None:
    phone = phone_number()

    for number in range(4):
        token = (await shop.lead(phone, answers={"n": number})).json()["token"]
        answer = await shop.post("/api/schedule", {"template": "WELCOME"}, authorization=f"Bearer {token}")
        await shop.dispatch()
        assert (answer.status_code, answer.json()["status"]) == (201, "ACCEPTED")

    assert len(shop.stack.texts(phone)) == 1


async def test_what_a_token_answers_says_nothing_of_the_lead(shop: Shop) -> None:
    phone = phone_number()
    token = (await shop.lead(phone, email=f"known{phone[1:]}@example.com")).json()["token"]

    answer = await shop.post("/api/schedule", {"template": "WELCOME"}, authorization=f"Bearer {token}")

    told = {name: value for name, value in answer.json().items() if value is not None}
    assert told == {"kind": "WELCOME", "status": "ACCEPTED"}


async def test_twenty_uses_of_one_token_at_once_are_one_welcome(shop: Shop) -> None:
    phone = phone_number()
    token = (await shop.lead(phone)).json()["token"]

    answers = await asyncio.gather(
        *(shop.post("/api/schedule", {"template": "WELCOME"}, authorization=f"Bearer {token}") for _ in range(20))
    )

    assert {answer.status_code for answer in answers} <= {201, 429}  # a lead's token has a budget as well
    assert [one["kind"] for one in await shop.messages(phone)].count("WELCOME") == 1


async def test_programs_do_not_get_in_and_people_do(shop: Shop) -> None:
    bot, person = phone_number(), phone_number()
    cases = {
        "LOOKS_AUTOMATED": {"website": "https://spam.example.com"},
        "TOO_FAST": {"formToken": await shop.read_form(timedelta(seconds=1))},
        "FORM_EXPIRED": {"formToken": await shop.read_form(timedelta(hours=25))},
    }

    got = {code: refused(await shop.lead(bot, **given))[1] for code, given in cases.items()}
    elsewhere = refused(await shop.lead(bot, formToken=await shop.read_form(slug=shop.other_slug)))
    filled_in = await shop.lead(person, website="", formToken=await shop.read_form(timedelta(minutes=2)))

    assert got == {code: code for code in cases}
    assert elsewhere[:2] == (400, "FORM_EXPIRED")
    assert await shop.messages(bot) == []
    assert filled_in.status_code == 201
    assert len(await shop.messages(person)) == 2


async def test_answers_are_checked_in_the_version_that_was_asked_and_make_a_lead_hot(shop: Shop) -> None:
    await shop.ask(SURVEY)
    form = (await shop.get("/api/form", params={"realtorId": shop.slug})).json()
    now, old, bare = phone_number(), phone_number(), phone_number()
    await shop.ask({"questions": [{"id": "other", "type": "text", "label": "Other?", "required": True}]})
    try:
        version = {"surveyVersion": form["surveyVersion"]}
        wrong = refused(await shop.lead(now, answers={"when": "never"}, **version))
        missing = refused(await shop.lead(now, answers={}))
        hot = await shop.lead(now, answers={"when": "now", "car": {"make": "Honda"}}, **version)
        later = await shop.lead(
            old, formToken=await shop.read_form(version=form["surveyVersion"]), answers={"when": "later"}
        )
        without = await shop.lead(bare)
    finally:
        await shop.set(survey=None)

    assert (form["survey"]["questions"][1]["id"], form["survey"]["title"]) == ("when", "Get a quote")
    assert wrong == (400, "INVALID_ANSWER", ["answers", "when"])
    assert missing == (400, "ANSWER_MISSING", ["answers", "other"])
    assert (hot.json()["next"], later.json()["next"], without.status_code) == ("BOOKING", "THANKS", 201)
    row = await shop.person(now)
    assert (row["status"], row["survey"]["version"], row["source"]) == ("HOT", form["surveyVersion"], "SURVEY")
    assert row["vehicle"] == {"make": "Honda"}
    assert (await shop.person(old))["status"] == "NEW"
    kinds = {one["kind"]: one["status"] for one in await shop.messages(now)}
    assert kinds == {"WELCOME": "SCHEDULED", "TOUCH": "CANCELLED"}


async def test_a_suspended_franchise_takes_nobody_in(shop: Shop) -> None:
    token = (await shop.lead(phone_number())).json()["token"]
    await shop.suspend("SUSPENDED")
    try:
        answers = [
            await shop.lead(phone_number()),
            await shop.get("/api/services", params={"realtorId": shop.slug}),
            await shop.post("/api/bookings", {"realtorId": shop.id, "slotToken": "x", "leadToken": token}),
        ]
        scheduled = await shop.post("/api/schedule", {"template": "WELCOME"}, authorization=f"Bearer {token}")
        pages = [await shop.get(f"/{page}/{shop.slug}") for page in ("survey", "book")]
    finally:
        await shop.suspend("ACTIVE")

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert scheduled.status_code == 401
    assert [page.status_code for page in pages] == [404, 404]


async def test_staff_reads_who_is_booked_or_hot_page_by_page_and_at_its_locations_only(shop: Shop) -> None:
    people = []
    for number, status in enumerate(["HOT", "BOOKED", "NEW", "HOT"]):
        phone = phone_number()
        name = shop.other_slug if number == 3 else shop.slug
        await shop.post("/api/leads", {"realtorId": name, "phone": phone, "firstName": f"N{number}"})
        people.append(phone)
        await set_status(shop, phone, status)

    async def listed(headers: dict[str, str], **query: Any) -> list[str]:
        found: list[str] = []
        after: dict[str, str] = {}
        while True:
            answer = (await shop.get("/api/leads", params={"first": 1, **query, **after}, headers=headers)).json()
            assert len(answer["leads"]) <= 1
            found += [one["phone"] for one in answer["leads"] if one["phone"] in people]
            if answer["next"] is None:
                return found
            after = {"after": answer["next"]}

    agent = bearer(shop.stack, Role.AGENT, location_ids=[shop.key])
    assert await listed(bearer(shop.stack)) == [people[3], people[1], people[0]]
    assert await listed(bearer(shop.stack), status="HOT") == [people[3], people[0]]
    assert await listed(agent) == [people[1], people[0]]
    assert [
        (await shop.get("/api/leads", headers=headers)).status_code
        for headers in ({}, {"authorization": "Bearer x.y.z"})
    ] == [401, 401]
    for query, field in (
        ({"first": "0"}, "first"),
        ({"first": "x"}, "first"),
        ({"status": "NEW"}, "status"),
        ({"after": "?"}, "after"),
    ):
        answer = await shop.get("/api/leads", params=query, headers=agent)
        assert (refused(answer)[2] or [""])[0] == field


async def set_status(shop: Shop, phone: str, status: str) -> None:
    async with shop.stack.services.tenancy.write(shop.stack.scope) as session:
        row = await shop.person(phone)
        lead = await locked(session, row["id"])
        await shop.stack.services.leads.set_status(session, lead, LeadStatus(status))
