"""Whose a conversation is, and that it does not go round in circles."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from lead_orchestrator.chat.conversations import Answer
from lead_orchestrator.chat.models import Reason
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from tests.chat.talk import Talk, add_user, texted, web_chat
from tests.messaging.leads import touches
from tests.stack import Stack

SHOP = "Sun Shade Tint Los Angeles"
TOLD = f"I am handing you over to a person at {SHOP}. They will answer you right here."


async def hand_over(talk: Talk, reason: Reason = Reason.ASKED) -> bool:
    async with talk.writing() as session:
        return await talk.hand_off.hand_over(session, talk.id, reason)


async def test_whoever_asks_for_a_person_is_told_once_and_the_assistant_is_silent(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("A person, please")

    done = await asyncio.gather(*(hand_over(talk) for _ in range(4)))
    await talk.visitor("Hello?")

    assert sorted(done) == [False, False, False, True]
    assert await talk.said() == [("USER", "A person, please"), ("SYSTEM", TOLD), ("USER", "Hello?")]
    [change] = await talk.changes()
    assert (change["kind"], change["state"], change["reason"]) == ("STATE", "HUMAN", "ASKED")
    row = await talk.row()
    assert (row["state"], row["answer_due_at"], row["assigned_to"]) == ("HUMAN", None, None)
    assert not (await talk.snapshot()).awaits_answer


async def test_a_customer_by_sms_is_told_by_sms_in_their_language(stack: Stack) -> None:
    talk = await texted(stack)
    assert talk.lead is not None
    await talk.set(language="es")

    await hand_over(talk, Reason.GUARD)
    await talk.deliver()

    words = f"Le paso con una persona de {SHOP}. Le responderá aquí mismo."
    assert (await talk.said())[-1] == ("SYSTEM", words)
    assert stack.texts(talk.lead.phone)[-1] == words


async def test_a_person_takes_over_at_once_and_is_named(stack: Stack) -> None:
    talk, user = await web_chat(stack), await add_user(stack, "Sam Example")
    await talk.visitor("How much?")

    async with talk.writing(user) as session:
        await talk.hand_off.take_over(session, talk.id)
    async with talk.writing(user) as session:
        await talk.hand_off.take_over(session, talk.id)

    assert await talk.said() == [("USER", "How much?"), ("SYSTEM", "You are now talking with Sam Example.")]
    row = await talk.row()
    assert (row["state"], row["assigned_to"], row["answer_due_at"]) == ("HUMAN", user, None)


async def test_whoever_of_staff_writes_has_taken_over(stack: Stack) -> None:
    talk, user = await web_chat(stack), await add_user(stack, None)
    await talk.visitor("How much?")

    await talk.staff("Let me look", user=user)

    assert await talk.said() == [("USER", "How much?"), ("STAFF", "Let me look")]
    row = await talk.row()
    assert (row["state"], row["assigned_to"], row["unread"]) == ("HUMAN", user, 0)


async def test_released_the_assistant_answers_what_still_waits_and_nothing_else(stack: Stack) -> None:
    waiting, answered = await web_chat(stack), await web_chat(stack)
    for talk in (waiting, answered):
        await talk.visitor("How much?")
        await hand_over(talk)
    await answered.staff("From $199.")

    for talk in (waiting, answered):
        async with talk.writing() as session:
            await talk.hand_off.release(session, talk.id)

    said = ("SYSTEM", f"{SHOP}'s automatic assistant answers you again from here.")
    assert [(await talk.said())[-1] for talk in (waiting, answered)] == [said, said]
    assert (await waiting.row())["answer_due_at"] is not None
    assert (await answered.row())["answer_due_at"] is None
    assert [(await talk.row())["state"] for talk in (waiting, answered)] == ["ASSISTANT", "ASSISTANT"]
    snapshot = await waiting.snapshot()
    async with waiting.writing() as session:
        assert await waiting.chats.post_answer(session, snapshot, Answer("From $199.")) is not None


async def test_an_answer_is_not_posted_while_a_person_has_it_though_nothing_was_said_since(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("A person, please")
    await hand_over(talk)
    snapshot = await talk.snapshot()

    async with talk.writing() as session:
        posted = await talk.chats.post_answer(session, snapshot, Answer("From $199."))

    assert posted is None
    assert "ASSISTANT" not in [role for role, _ in await talk.said()]


async def test_after_a_silence_the_customers_next_message_is_the_assistants(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("A person, please")
    await talk.silence(30)
    await hand_over(talk)

    await talk.past(held_until=timedelta(minutes=29))
    await talk.visitor("Hello?")
    assert (await talk.row())["state"] == "HUMAN"
    await talk.past(held_until=timedelta(minutes=1))
    assert (await talk.row())["state"] == "HUMAN"  # nobody is written to because nothing happened
    await talk.visitor("Anybody?")

    row = await talk.row()
    assert (row["state"], row["assigned_to"]) == ("ASSISTANT", None)
    assert row["answer_due_at"] is not None
    assert [change["reason"] for change in await talk.changes()] == ["ASKED", "SILENCE"]


async def test_every_word_of_staff_keeps_the_conversation_theirs(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.silence(30)
    await talk.staff("Hello")
    await talk.past(held_until=timedelta(minutes=29))
    await talk.staff("Still here")
    await talk.past(held_until=timedelta(minutes=29))

    await talk.visitor("Fine")

    assert (await talk.row())["state"] == "HUMAN"


async def test_without_a_set_silence_only_a_release_gives_it_back(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.silence(None)
    await hand_over(talk)
    await talk.silence(720)

    assert (await talk.row())["held_until"] is None
    await stack.wind(timedelta(days=30))
    try:
        await talk.visitor("Anybody?")
    finally:
        await stack.wind(-timedelta(days=30))

    assert (await talk.row())["state"] == "HUMAN"


async def test_a_conversation_is_given_to_a_colleague_who_may_see_it(stack: Stack) -> None:
    talk = await web_chat(stack)
    here, elsewhere = list(stack.locations.values())[:2]
    colleague, stranger = await add_user(stack, "Kim", [here]), await add_user(stack, "Lee", [elsewhere])

    async with talk.writing() as session:
        await talk.hand_off.assign(session, talk.id, colleague)
    with pytest.raises(BadInputError) as refused:
        async with talk.writing() as session:
            await talk.hand_off.assign(session, talk.id, stranger)
    with pytest.raises(NotFoundError):
        async with talk.writing() as session:
            await talk.hand_off.assign(session, talk.id, talk.id)

    assert refused.value.code == "USER_CANNOT_SEE"
    row = await talk.row()
    assert (row["state"], row["assigned_to"]) == ("HUMAN", colleague)
    assert await talk.said() == [("SYSTEM", "You are now talking with Kim.")]


async def test_a_closed_conversation_is_closed_for_everybody(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("Thanks")
    for _ in range(2):
        async with talk.writing() as session:
            await talk.hand_off.close(session, talk.id)

    assert not await hand_over(talk)
    for work in (talk.hand_off.take_over, talk.hand_off.release):
        with pytest.raises(BadInputError) as refused:
            async with talk.writing() as session:
                await work(session, talk.id)
        assert refused.value.code == "CHAT_CLOSED"

    assert [change["state"] for change in await talk.changes()] == ["CLOSED"]
    row = await talk.row()
    assert (row["answer_due_at"], row["unread"]) == (None, 0)


async def test_a_person_holds_touches_back_only_while_the_conversation_is_theirs(stack: Stack) -> None:
    talk = await texted(stack)
    assert talk.lead is not None
    await talk.silence(30)
    await hand_over(talk)

    await talk.deliver()
    [touch] = [row for row in await touches(stack, talk.lead.id) if row["kind"] == "TOUCH"]
    assert touch["status"] == "SCHEDULED"
    assert "person" in touch["decision"]

    await talk.past(held_until=timedelta(minutes=30))
    async with talk.writing() as session:
        await session.execute(
            text("UPDATE scheduled_messages SET due_at = created_at WHERE id = :id"), {"id": touch["id"]}
        )
    await talk.deliver()

    [touch] = [row for row in await touches(stack, talk.lead.id) if row["touch_number"] == 1]
    assert touch["status"] == "SENT"


async def test_what_happens_to_it_is_in_the_leads_history(stack: Stack) -> None:
    talk = await texted(stack)
    assert talk.lead is not None
    await hand_over(talk, Reason.ANGER)

    [event] = await stack.rows(
        "SELECT detail FROM lead_events WHERE lead_id = :id AND kind = 'chat.state'", id=talk.lead.id
    )
    assert event["detail"] == {
        "chatSessionId": encode(Kind.CHAT_SESSION, talk.id),
        "channel": "SMS",
        "state": "HUMAN",
        "reason": "ANGER",
    }
