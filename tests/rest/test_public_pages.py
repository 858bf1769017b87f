"""The survey page and the booking page, as a browser without a script goes through them."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
from sqlalchemy import text

from tests.database import Cluster
from tests.factories import phone_number
from tests.rest.api.shop import ORIGIN, SURVEY, Shop, client, open_shop

FIELD = re.compile(r"<(input|textarea|button)\b([^>]*)>([^<]*)")
ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')


@pytest_asyncio.fixture(scope="module")
async def shop(cluster: Cluster) -> AsyncIterator[Shop]:
    async with open_shop(cluster) as shop:
        await shop.ask(SURVEY)
        yield shop


@dataclass(frozen=True)
class Browser:
    """Somebody who fills in what is shown and presses one button; scripts are off. `text` is the page."""

    shop: Shop
    page: httpx.Response
    address: dict[str, str]
    text: str

    @classmethod
    async def at(cls, shop: Shop, path: str, **headers: str) -> Browser:
        address = client(None)
        page = await shop.http.get(path, headers=address | headers)
        return cls(shop, page, address, page.text)

    @property
    def title(self) -> str:
        return html.unescape(re.findall(r"<h1>(.*?)</h1>", self.text)[0])

    @property
    def problem(self) -> str | None:
        found = re.findall(r'<p role="alert"[^>]*>(.*?)</p>', self.text)
        return html.unescape(found[0]) if found else None

    def fields(self) -> list[dict[str, str]]:
        return [
            {"tag": tag, "text": text, **{name: html.unescape(value) for name, value in ATTRIBUTE.findall(attributes)}}
            for tag, attributes, text in FIELD.findall(self.text)
        ]

    def offered(self, name: str) -> list[str]:
        return [one["value"] for one in self.fields() if one.get("name") == name and one.get("value")]

    async def press(self, button: str | None, value: str = "1", filled: Mapping[str, Any] | None = None) -> Browser:
        """Send the page's form with the values it came with; `filled` is written into its fields, or ticked."""
        sent: list[tuple[str, str | int | float | bool | None]] = [
            (name, one) for name, one in self._values() if name not in (filled or {})
        ]
        for name, given in (filled or {}).items():
            sent += [(name, one) for one in (given if isinstance(given, list) else [given])]
        if button:
            sent.append((button, value))
        method = re.findall(r'<form method="(\w+)"', self.text)[0]
        path, http = self.page.url.path, self.shop.http
        if method == "get":
            answer = await http.get(path, params=sent, headers=self.address)
        else:
            form = {"content-type": "application/x-www-form-urlencoded"}
            body = str(httpx.QueryParams(sent))
            answer = await http.post(path, content=body, headers=self.address | form, follow_redirects=True)
        return Browser(self.shop, answer, self.address, answer.text)

    def _values(self) -> Iterator[tuple[str, str]]:
        for one in self.fields():
            if one["tag"] == "button" or not one.get("name"):
                continue
            if one.get("type") not in ("checkbox", "radio") or "checked" in one:
                yield one["name"], html.unescape(one["text"]) if one["tag"] == "textarea" else one.get("value", "")

    async def patiently(self) -> Browser:
        """As if the page had been open for ten seconds already."""
        token = self.offered("form")[0]
        raw = self.shop.stack.services.links.signed("form", token) or b""
        earlier = await self.shop.read_form(version=int.from_bytes(raw[32:40], "big"))
        return replace(self, text=self.text.replace(token, earlier))


async def through_the_questions(shop: Shop, when: str) -> Browser:
    browser = await Browser.at(shop, f"/survey/{shop.slug}")
    browser = await (await browser.patiently()).press("next", filled={"a.car.year": "2021", "a.car.make": "Honda"})
    return await browser.press("next", filled={"a.when": when})


async def test_somebody_answers_question_by_question_and_books_the_time_they_want(shop: Shop) -> None:
    phone = phone_number()
    contact = await through_the_questions(shop, "now")
    assert contact.title == "Where can we reach you?"

    services = await contact.press("send", filled={"firstName": "Ada", "phone": phone, "consent": "yes"})
    assert services.title == "What can we do for you?"
    times = await services.press("step", "times", {"service": shop.service_id})
    slots = times.offered("slot")
    details = await times.press("slot", slots[5])
    done = await details.press(None, filled={"notes": "The <blue> one"})

    assert (done.title, done.page.status_code) == ("You are booked", 200)
    lead = await shop.person(phone)
    assert (lead["status"], lead["source"], lead["first_name"]) == ("BOOKED", "SURVEY", "Ada")
    assert lead["survey"]["answers"] == {"car": {"year": "2021", "make": "Honda"}, "when": "now"}
    assert [one["kind"] for one in await shop.messages(phone)][:2] == ["TOUCH", "WELCOME"]
    [manage] = set(re.findall(r'href="([^"]*/a/[^"/]*)"', done.text))
    assert (await shop.get("/a/" + manage.rpartition("/")[2])).status_code == 200


async def test_another_branch_asks_on_and_ends_with_thanks_and_the_consent_is_kept_word_by_word(shop: Shop) -> None:
    phone = phone_number()
    glass = await through_the_questions(shop, "later")
    assert glass.title == "Which?"
    why = await glass.press("next", filled={"a.glass": ["", "rear", "front"]})
    assert why.title == "Why <tint>?"
    contact = await why.press("next")
    shown = html.unescape(re.findall(r'name="consent"[^>]*><span>(.*?)</span>', contact.text)[0])
    thanks = await contact.press("send", filled={"firstName": "Ada", "phone": phone, "consent": "yes"})

    assert thanks.title == "Thank you!"
    lead = await shop.person(phone)
    assert lead["survey"]["answers"]["glass"] == ["front", "rear"]
    [line] = await shop.stack.rows("SELECT * FROM consents WHERE lead_id = :id", id=lead["id"])
    assert (line["channel"], line["source"], str(line["ip"])) == (
        "SMS",
        "survey page, version 1",
        thanks.address["X-Forwarded-For"],
    )
    assert shown == f"I agree: {line['wording']}"


async def test_a_required_question_stays_until_it_is_answered_and_going_back_keeps_what_was_said(shop: Shop) -> None:
    start = await Browser.at(shop, f"/survey/{shop.slug}")
    when = await start.press("next")
    unanswered = await when.press("next")
    wrong = await when.press("next", filled={"a.when": "never"})
    contact = await unanswered.press("next", filled={"a.when": "now"})
    back = await contact.press("back")
    further_back = await (await back.press("next", filled={"a.when": "later"})).press("back")

    assert (when.problem, unanswered.problem, wrong.problem) == (
        None,
        "Please answer this question.",
        "Please choose one of these.",
    )
    assert (back.title, further_back.title) == ("When?", "When?")
    assert [one.get("value") for one in back.fields() if "checked" in one] == ["now"]
    assert [one.get("value") for one in further_back.fields() if "checked" in one] == ["later"]


async def test_what_is_wrong_with_the_address_is_said_and_nothing_is_lost(shop: Shop) -> None:
    contact = await through_the_questions(shop, "now")

    wrong = await contact.press(
        "send", filled={"firstName": 'Ada"><script>', "phone": "12", "email": "ada@example.com"}
    )

    assert (wrong.page.status_code, wrong.problem) == (
        400,
        "Please write a phone number with its area code, as in 213 555 0101.",
    )
    values = {one.get("name"): one.get("value") for one in wrong.fields()}
    assert (values["firstName"], values["email"], values["a.when"]) == ('Ada"><script>', "ada@example.com", "now")
    assert "<script>" not in wrong.text.replace("<script nonce", "")


async def test_programs_do_not_get_in_by_the_page_and_hasty_people_do_at_the_second_try(shop: Shop) -> None:
    bot, person = phone_number(), phone_number()
    trapped = await (await through_the_questions(shop, "now")).press(
        "send", filled={"firstName": "B", "phone": bot, "website": "https://x.example.com"}
    )
    start = await Browser.at(shop, f"/survey/{shop.slug}")
    hasty = await (await (await start.press("next")).press("next", filled={"a.when": "now"})).press(
        "send", filled={"firstName": "A", "phone": person}
    )
    bare = await shop.form(
        f"/survey/{shop.slug}", {"send": "1", "firstName": "B", "phone": bot, "a.car.make": "", "a.when": "now"}
    )

    assert trapped.problem == "Please leave the hidden field empty and send it again."
    assert hasty.problem == "That was quick! Please press the button once more."
    assert bare.status_code == 400
    assert await shop.messages(bot) == []
    assert await shop.messages(person) == []
    again = await (await hasty.patiently()).press("send")
    assert again.title == "What can we do for you?"
    assert len(await shop.messages(person)) == 2


async def test_a_survey_that_changes_meanwhile_is_answered_as_it_was_asked(shop: Shop) -> None:
    phone = phone_number()
    contact = await through_the_questions(shop, "now")
    await shop.ask({"questions": [{"id": "new", "type": "text", "label": "New?", "required": True}]})
    try:
        sent = await contact.press("send", filled={"firstName": "Ada", "phone": phone})
    finally:
        await shop.ask(SURVEY)

    assert sent.title == "What can we do for you?"
    in_force = (await shop.place()).location.survey or {}
    assert ((await shop.person(phone))["survey"]["version"], in_force["version"]) == (1, 3)


async def test_a_time_that_is_taken_meanwhile_is_chosen_again_and_who_books_twice_has_one_appointment(
    shop: Shop,
) -> None:
    phone, path = phone_number(), f"/book/{shop.slug}"
    day = (datetime.now(UTC) + timedelta(days=12)).date().isoformat()
    times = await Browser.at(shop, f"{path}?service={shop.service_id}&from={day}")
    slots = times.offered("slot")
    details = await (await times.press("slot", slots[0])).patiently()
    other = await (await times.press("slot", slots[0])).patiently()
    who = {"firstName": "Ada", "phone": phone}

    nameless = await details.press(None, filled={"firstName": " ", "phone": phone})
    done = await details.press(None, filled=who)
    again = await details.press(None, filled=who)
    late = await other.press(None, filled={"firstName": "Eve", "phone": phone_number()})

    assert nameless.problem == "Please tell us your first name."
    assert (done.title, again.title) == ("You are booked", "You are booked")
    assert (late.page.status_code, late.problem) == (
        400,
        "Somebody else has just taken this time. Please choose another one.",
    )
    assert slots[0] not in late.offered("slot")
    assert late.offered("slot")
    counted = "SELECT count(*) AS n FROM appointments a JOIN leads l ON l.id = a.lead_id WHERE l.phone = :phone"
    assert await shop.stack.rows(counted, phone=phone) == [{"n": 1}]


async def test_times_are_the_shops_and_go_on_by_weeks(shop: Shop) -> None:
    times = await Browser.at(shop, f"/book/{shop.slug}?service={shop.service_id}")
    later = await times.press("from", times.offered("from")[-1])

    assert "America/Los Angeles" in times.text
    assert re.findall(r'class="slot"[^>]*>([^<]*)<', later.text)[0] == "9:00 AM"
    assert later.offered("from")
    assert times.text.count("<details open") == 2


async def test_pages_may_be_framed_by_the_shops_sites_alone_and_load_nothing(shop: Shop) -> None:
    for path in (f"/survey/{shop.slug}", f"/book/{shop.slug}"):
        policy = (await Browser.at(shop, path)).page.headers["content-security-policy"]
        assert f"frame-ancestors 'self' {ORIGIN}" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")
        await shop.set(allowed_origins=[])
        try:
            assert "frame-ancestors 'none'" in (await Browser.at(shop, path)).page.headers["content-security-policy"]
        finally:
            await shop.set(allowed_origins=[ORIGIN])


async def test_pages_speak_the_browsers_language(shop: Shop) -> None:
    book = await Browser.at(shop, f"/book/{shop.slug}", **{"accept-language": "es-MX,es;q=0.9"})

    assert book.title == "¿Qué podemos hacer por usted?"
    assert '<html lang="es">' in book.text


async def test_a_page_of_no_shop_or_a_form_that_is_too_large_is_answered_for_people(shop: Shop) -> None:
    gone = await Browser.at(shop, "/survey/nowhere")
    large = await shop.form(f"/survey/{shop.slug}", {"a.why": "x" * 200_000})
    many = await shop.form(f"/survey/{shop.slug}", {f"f{number}": "" for number in range(600)})

    assert (gone.page.status_code, gone.title) == (404, "There is no such page")
    assert [answer.status_code for answer in (large, many)] == [413, 413]


async def test_a_shop_that_sells_nothing_online_says_whom_to_call(shop: Shop) -> None:
    async with shop.stack.services.tenancy.write(shop.stack.scope) as session:
        await session.execute(text("UPDATE service_catalog SET switched_off = true"))
    try:
        page = await Browser.at(shop, f"/book/{shop.slug}")
    finally:
        async with shop.stack.services.tenancy.write(shop.stack.scope) as session:
            await session.execute(text("UPDATE service_catalog SET switched_off = false"))

    assert "tel:" in page.text
    assert page.page.status_code == 200
