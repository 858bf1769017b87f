"""Who gets into a conversation, and what they are shown there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from lead_orchestrator.chat.codes import MOST_ATTEMPTS, MOST_CODES, MOST_CODES_A_DAY
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy.tokens import Role
from tests.chat.site import SLUG, Site, Visitor, widget
from tests.factories import phone_number
from tests.messaging.leads import lead_row, make_lead, touches

LEAD = "query($i: ID!) { chatSession(id: $i) { lead { id firstName } } }"


async def link(site: Site, lead: Lead) -> str:
    return site.stack.services.links.token("chat", lead.tenant_id, lead.id)


def forged(token: str) -> str:
    """As it was but for one character."""
    return token[:30] + ("B" if token[30] == "A" else "A") + token[31:]


async def shown(visitor: Visitor, session_id: str | None = None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await visitor.ask("WidgetChatSession", id=session_id or visitor.session_id, last=50)
    return found


async def words(visitor: Visitor) -> list[str]:
    session = await shown(visitor)
    assert session is not None
    return [edge["node"]["text"] for edge in session["messages"]["edges"]]


async def confirm(visitor: Visitor, code: str) -> dict[str, Any]:
    answer: dict[str, Any] = await visitor.ask("WidgetConfirmChat", code=code)
    return answer


async def test_anybody_may_chat_with_a_shop_and_renew_the_token(site: Site) -> None:
    visitor = await site.visitor(locationSlug=SLUG)

    first = await visitor.say("How much is a sedan?", "c1")
    again = await visitor.say("How much is a sedan?", "c1")
    renewed = site.entered(await site.renew(visitor.secret))

    assert first == again
    assert first["errors"] == []
    assert renewed.session_id == visitor.session_id
    assert await words(renewed) == ["How much is a sedan?"]
    row = await visitor.talk.row()
    assert (row["verified"], row["lead_id"], row["language"]) == (False, None, "en")


async def test_the_link_of_a_message_goes_on_with_its_leads_conversation(site: Site) -> None:
    lead = await make_lead(site.stack)
    token = await link(site, lead)

    phone, desk = await site.visitor(chatToken=token), await site.visitor(chatToken=token)
    await phone.say("Hello", "c1")

    assert phone.session_id == desk.session_id
    assert await words(desk) == ["Hello"]
    row = await phone.talk.row()
    assert (row["verified"], row["lead_id"]) == (True, lead.id)
    async with phone.talk.writing() as session:
        await phone.talk.hand_off.close(session, phone.key)
    assert (await site.visitor(chatToken=token)).session_id != phone.session_id


@pytest.mark.parametrize("purpose", ["unsubscribe", "manage"])
async def test_no_other_link_opens_a_conversation(site: Site, purpose: str) -> None:
    lead = await make_lead(site.stack)
    wrong = site.stack.services.links.token(purpose, lead.tenant_id, lead.id)

    for token in (wrong, "", "x" * 70, forged(await link(site, lead))):
        answer = await site.start(chatToken=token)
        assert [error["code"] for error in answer["errors"]] == ["NOT_FOUND"]
        assert answer["visitorToken"] is None


async def test_a_typed_number_shows_nothing_of_its_lead_and_changes_nothing(site: Site) -> None:
    lead = await make_lead(site.stack, first_name=None, email=None)
    own = await site.visitor(chatToken=await link(site, lead))
    await own.say("My gate code is a secret", "c1")
    before = await lead_row(site.stack, lead.id)

    stranger = await site.visitor(
        locationSlug=SLUG, phone=lead.phone, name="Eve", email="eve@example.com", consent={"sms": True}
    )
    await stranger.say("What did I tell you?", "c1")

    assert stranger.session_id != own.session_id
    assert await words(stranger) == ["What did I tell you?"]
    assert await shown(stranger, own.session_id) is None
    after = await lead_row(site.stack, lead.id)
    ours = ("first_name", "email", "status", "consented", "phone", "opted_out")
    assert [after[name] for name in ours] == [before[name] for name in ours]
    assert (await stranger.talk.snapshot()).lead_id is None


async def test_the_texted_code_makes_the_visitor_the_lead(site: Site) -> None:
    lead = await make_lead(site.stack, email=None)
    visitor = await site.visitor(locationSlug=SLUG, phone=lead.phone, name="Eve", email="ada2@example.com")
    assert lead.phone is not None
    code = await site.code(lead.phone)

    entered = site.entered(await confirm(visitor, code))
    await entered.say("It is me", "c2")

    assert entered.session_id == visitor.session_id
    row = await lead_row(site.stack, lead.id)
    assert (row["first_name"], row["email"], row["status"]) == ("Ada", "ada2@example.com", "ENGAGED")
    assert (await entered.talk.snapshot()).lead_id == lead.id
    assert [error["code"] for error in (await confirm(entered, code))["errors"]] == ["WRONG_CODE"]  # it is used up


async def test_answers_are_the_same_whether_or_not_the_number_is_known(site: Site) -> None:
    lead = await make_lead(site.stack)

    async def outcome(phone: str | None) -> Any:
        started = await site.start(locationSlug=SLUG, phone=phone, name="Eve")
        visitor = site.entered(started)
        for name in ("session", "visitorToken", "chatToken", "expiresAt"):
            started[name] = type(started[name])
        wrong = await confirm(visitor, "000000")
        again = await visitor.ask("WidgetIdentifyChat", input={"phone": phone})
        messages = await words(visitor)
        session = await shown(visitor)
        assert session is not None
        session.pop("id")
        return started, wrong, again, messages, session

    assert await outcome(lead.phone) == await outcome(phone_number())


async def test_a_number_that_is_not_confirmed_gets_a_code_and_no_touch(site: Site) -> None:
    phone = phone_number()

    await site.visitor(locationSlug=SLUG, phone=phone, name="Eve")
    await site.code(phone)

    [lead] = await site.stack.rows("SELECT * FROM leads WHERE phone = :phone", phone=phone)
    assert (lead["first_name"], lead["source"]) == ("Eve", "WEB_CHAT")
    assert [(row["kind"], row["status"]) for row in await touches(site.stack, lead["id"])] == [
        ("TOUCH", "CANCELLED"),
        ("CONFIRMATION", "SENT"),
    ]
    assert len(site.stack.texts(phone)) == 1


async def test_codes_are_guessed_at_a_few_times_only(site: Site) -> None:
    phone = phone_number()
    visitor = await site.visitor(locationSlug=SLUG, phone=phone)
    code = await site.code(phone)
    wrong = f"{(int(code) + 1) % 10**6:06}"

    answers = await asyncio.gather(*(confirm(visitor, wrong) for _ in range(MOST_ATTEMPTS)))
    late = await confirm(visitor, code)

    assert {error["code"] for answer in (*answers, late) for error in answer["errors"]} == {"WRONG_CODE"}
    assert (await visitor.talk.row())["code_attempts"] == MOST_ATTEMPTS
    assert (await visitor.talk.snapshot()).lead_id is None


async def test_a_code_expires(site: Site) -> None:
    phone = phone_number()
    visitor = await site.visitor(locationSlug=SLUG, phone=phone)
    code = await site.code(phone)
    await visitor.talk.past(code_expires_at=timedelta(minutes=10))

    assert [error["code"] for error in (await confirm(visitor, code))["errors"]] == ["WRONG_CODE"]


async def test_few_codes_are_sent_and_nobody_can_tell(site: Site) -> None:
    phone = phone_number()
    visitor = await site.visitor(locationSlug=SLUG, phone=phone)

    asked = [await visitor.ask("WidgetIdentifyChat", input={"phone": phone}) for _ in range(MOST_CODES)]
    others = [await site.visitor(locationSlug=SLUG, phone=phone) for _ in range(MOST_CODES_A_DAY)]
    sent = await site.stack.rows(
        "SELECT id FROM scheduled_messages m WHERE reference = 'chat-code' AND lead_id ="
        " (SELECT id FROM leads WHERE phone = :phone)",
        phone=phone,
    )

    assert [answer["codeRequested"] for answer in asked] == [True] * MOST_CODES
    assert len({other.session_id for other in others}) == MOST_CODES_A_DAY
    assert (await visitor.talk.row())["codes_sent"] == MOST_CODES
    assert len(sent) == MOST_CODES_A_DAY


async def test_a_code_that_would_come_too_late_does_not_come(site: Site) -> None:
    phone = phone_number()
    await site.stack.wind(timedelta(hours=13))  # eleven at night
    try:
        await site.visitor(locationSlug=SLUG, phone=phone)
        await site.stack.services.dispatcher.dispatch(site.stack.tenant_id)
    finally:
        await site.stack.wind(-timedelta(hours=13))

    [lead] = await site.stack.rows("SELECT id FROM leads WHERE phone = :phone", phone=phone)
    code = (await touches(site.stack, lead["id"]))[-1]
    assert code["status"] == "SUPPRESSED"
    assert site.stack.texts(phone) == []


async def test_a_visitor_reads_and_writes_in_its_own_conversation_alone_even_of_one_lead(site: Site) -> None:
    lead = await make_lead(site.stack)
    first = await site.visitor(chatToken=await link(site, lead))
    await first.say("Mine", "c1")
    await first.talk.set(state="CLOSED")
    second = await site.visitor(chatToken=await link(site, lead))
    stranger = await site.visitor()

    for other in (second, stranger):
        assert await shown(other, first.session_id) is None
        answer = await other.say("Yours?", "c9", first.session_id)
        assert [error["code"] for error in answer["errors"]] == ["NOT_FOUND"]
        read = await other.ask("WidgetMarkChatRead", sessionId=first.session_id)
        assert [error["code"] for error in read["errors"]] == ["NOT_FOUND"]
        assert await other.ask("WidgetSetTyping", sessionId=first.session_id) is False
    assert [text for _, text in await first.talk.said()] == ["Mine"]


async def test_what_is_closed_is_neither_written_into_nor_renewed(site: Site) -> None:
    visitor = await site.visitor()
    async with visitor.talk.writing() as session:
        await visitor.talk.hand_off.close(session, visitor.key)

    answer = await visitor.say("Hello?", "c1")
    renewed = await site.renew(visitor.secret)

    assert [error["code"] for error in answer["errors"]] == ["CHAT_CLOSED"]
    assert [error["code"] for error in renewed["errors"]] == ["NOT_FOUND"]
    seen = await shown(visitor)
    assert seen is not None
    assert seen["state"] == "CLOSED"


async def test_a_secret_is_good_for_one_conversation(site: Site) -> None:
    visitor = await site.visitor()

    for secret in ("", "x", forged(visitor.secret), visitor.token):
        assert [error["code"] for error in (await site.renew(secret))["errors"]] == ["NOT_FOUND"]


async def test_each_side_counts_what_it_has_not_read(site: Site) -> None:
    visitor = await site.visitor()
    await visitor.say("One", "c1")
    await visitor.say("Two", "c2")
    staff = "query($i: ID!) { chatSession(id: $i) { unread } }"
    read = "mutation($i: ID!) { markChatRead(sessionId: $i) { session { unread } errors { code } } }"

    unread = (await site.post(staff, {"i": visitor.session_id}, site.staff()))["data"]["chatSession"]
    seen = (await site.post(read, {"i": visitor.session_id}, site.staff()))["data"]["markChatRead"]
    await visitor.talk.staff("Hello")
    theirs = await shown(visitor)
    await visitor.ask("WidgetMarkChatRead", sessionId=visitor.session_id)

    assert (unread, seen) == ({"unread": 2}, {"session": {"unread": 0}, "errors": []})
    assert theirs is not None
    assert theirs["unread"] == 1
    row = await visitor.talk.row()
    assert (row["unread"], row["visitor_unread"]) == (0, 0)


async def test_a_browser_on_a_site_that_the_shop_does_not_list_is_refused(site: Site) -> None:
    async with site.stack.services.tenancy.write(site.stack.scope) as session:
        await session.execute(
            text("UPDATE locations SET allowed_origins = ARRAY['https://shop.example.com'] WHERE slug = :slug"),
            {"slug": SLUG},
        )

    refused = await site.start(origin="https://evil.example.com", locationSlug=SLUG)
    listed = await site.start(origin="https://shop.example.com", locationSlug=SLUG)
    own = await site.start(origin=site.url, locationSlug=SLUG)

    assert [error["code"] for error in refused["errors"]] == ["ORIGIN_NOT_ALLOWED"]
    assert listed["errors"] == own["errors"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "BAD_USER_INPUT"),
        ({"locationSlug": SLUG, "chatToken": "x"}, "BAD_USER_INPUT"),
        ({"locationSlug": "nowhere"}, "NOT_FOUND"),
        ({"locationSlug": SLUG, "phone": "12"}, "INVALID_PHONE"),
        ({"locationSlug": SLUG, "name": "Eve"}, "INVALID_PHONE"),
    ],
)
async def test_who_does_not_say_where_to_or_who_is_not_let_in(site: Site, given: dict[str, Any], code: str) -> None:
    body = await site.post("mutation($i: StartChatInput!) { startChat(input: $i) { errors { code } } }", {"i": given})

    assert body["data"]["startChat"]["errors"] == [{"code": code}]


async def test_what_visitors_may_not_do_is_refused(site: Site) -> None:
    visitor = await site.visitor()
    take = "mutation($i: ID!) { takeOverChat(sessionId: $i) { errors { code } } }"

    body = await site.post(take, {"i": visitor.session_id}, visitor.token)
    staff = await site.post(widget("WidgetConfirmChat"), {"code": "1"}, site.staff())

    assert body["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert staff["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await visitor.talk.row())["state"] == "ASSISTANT"


async def test_staff_answers_by_the_api_and_the_conversation_is_theirs(site: Site) -> None:
    visitor, agent = await site.visitor(), site.staff(role=Role.AGENT, locations=[])
    send = (
        "mutation($i: SendChatMessageInput!) { sendChatMessage(input: $i) { message { role text } errors { code } } }"
    )
    given = {"sessionId": visitor.session_id, "text": "From $199", "clientId": "s1"}

    blind = (await site.post(send, {"i": given}, agent))["data"]["sendChatMessage"]
    sent = (await site.post(send, {"i": given}, site.staff()))["data"]["sendChatMessage"]
    released = await site.post(
        "mutation($i: ID!) { releaseChat(sessionId: $i) { session { state channel } errors { code } } }",
        {"i": visitor.session_id},
        site.staff(),
    )

    assert blind == {"message": None, "errors": [{"code": "NOT_FOUND"}]}
    assert sent == {"message": {"role": "STAFF", "text": "From $199"}, "errors": []}
    assert released["data"]["releaseChat"] == {
        "session": {"state": "ASSISTANT", "channel": Channel.WEB_CHAT.value},
        "errors": [],
    }


async def test_one_operation_lets_one_visitor_in(site: Site) -> None:
    twice = """mutation($i: StartChatInput!) { a: startChat(input: $i) { session { id messages { totalCount } } errors { code } }
      b: startChat(input: $i) { session { id messages { totalCount } } errors { code } } }"""

    body = await site.post(twice, {"i": {"locationSlug": SLUG}})

    assert body["data"]["a"]["errors"] == []
    assert body["data"]["b"] == {"session": None, "errors": [{"code": "BAD_USER_INPUT"}]}
