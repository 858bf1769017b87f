"""What is said in conversations, and that an answer is posted to what it answers, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.conversations import LONGEST_TEXT, Answer, Conversations
from lead_orchestrator.chat.models import ChatMessage, ChatState, Reason
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads.models import Channel, LeadStatus
from lead_orchestrator.tenancy.sessions import Moved, Scope
from tests.chat.talk import Talk, texted, web_chat
from tests.messaging.leads import change, lead_row, make_lead, touches
from tests.stack import Stack

LATE = timedelta(minutes=1)


async def post(talk: Talk, answer: Answer | None = None) -> ChatMessage | None:
    """An answer to the conversation as it is now."""
    snapshot = await talk.snapshot()
    async with talk.writing() as session:
        return await talk.chats.post_answer(session, snapshot, answer or Answer("From $199."))


async def test_a_message_that_is_sent_twice_is_one_and_is_answered_alike(stack: Stack) -> None:
    talk = await web_chat(stack)

    first = await talk.visitor("Hello", "c1")
    again = await talk.visitor("Hello", "c1")
    both = await asyncio.gather(*(talk.visitor("And?", "c2") for _ in range(5)))

    assert first == again
    assert len(set(both)) == 1
    assert await talk.said() == [("USER", "Hello"), ("USER", "And?")]
    row = await talk.row()
    assert (row["version"], row["unread"]) == (2, 2)


async def test_a_client_id_does_not_stand_for_two_messages(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("Hello", "c1")

    for write in (talk.visitor("Something else", "c1"), talk.staff("Hello", "c1")):
        with pytest.raises(BadInputError) as refused:
            await write
        assert refused.value.code == "CLIENT_ID_REUSED"

    assert await talk.said() == [("USER", "Hello")]
    assert (await talk.row())["state"] == ChatState.ASSISTANT


async def test_versions_have_no_gap_whoever_writes_at_the_same_time(stack: Stack) -> None:
    talk = await web_chat(stack)

    await asyncio.gather(*(talk.visitor(f"Message {n}") for n in range(12)), *(talk.staff(f"S{n}") for n in range(4)))

    rows = await stack.rows(
        "SELECT version FROM chat_messages WHERE session_id = :id UNION ALL"
        " SELECT version FROM chat_changes WHERE session_id = :id ORDER BY 1",
        id=talk.id,
    )
    assert [row["version"] for row in rows] == list(range(1, 18))  # sixteen messages, and the take-over
    assert (await talk.row())["version"] == 17


async def test_one_of_many_answers_to_the_same_turn_is_posted(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("How much?")
    snapshot = await talk.snapshot()

    async def answer(number: int) -> ChatMessage | None:
        async with talk.writing() as session:
            return await talk.chats.post_answer(session, snapshot, Answer(f"Answer {number}"))

    posted = [message for message in await asyncio.gather(*map(answer, range(6))) if message is not None]

    assert len(posted) == 1
    assert await talk.said() == [("USER", "How much?"), ("ASSISTANT", posted[0].text)]
    row = await talk.row()
    assert (row["answer_due_at"], row["visitor_unread"]) == (None, 1)


@pytest.mark.parametrize("meanwhile", ["customer", "staff", "taken", "closed"])
async def test_an_answer_to_what_is_past_says_nothing_and_takes_its_shown_words_back(
    stack: Stack, meanwhile: str
) -> None:
    talk = await web_chat(stack)
    await talk.visitor("How much?")
    snapshot, shown = await talk.snapshot(), uuid4()
    match meanwhile:
        case "customer":
            await talk.visitor("For a Model 3")
        case "staff":
            await talk.staff("I am on it")
        case "taken":
            async with talk.writing() as session:
                await talk.hand_off.take_over(session, talk.id)
        case _:
            async with talk.writing() as session:
                await talk.hand_off.close(session, talk.id)
    before = await talk.said()

    async with talk.writing() as session:
        posted = await talk.chats.post_answer(session, snapshot, Answer("From $199.", message_id=shown))

    assert posted is None
    assert await talk.said() == before
    last = (await talk.changes())[-1]
    assert (last["kind"], last["message_id"], last["version"]) == ("RETRACTION", shown, (await talk.row())["version"])


async def test_a_retraction_does_not_outdate_the_next_answer(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("How much?")
    old = await talk.snapshot()
    await talk.visitor("For a Model 3")
    new = await talk.snapshot()

    async with talk.writing() as session:
        assert await talk.chats.post_answer(session, old, Answer("Old", message_id=uuid4())) is None
    async with talk.writing() as session:
        assert await talk.chats.post_answer(session, new, Answer("New")) is not None

    assert (await talk.said())[-1] == ("ASSISTANT", "New")


async def test_an_answer_keeps_the_id_under_which_it_was_shown_and_offers_what_it_offers(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("When?")
    shown, service = uuid4(), uuid4()
    slot: dict[str, object] = {"startsAt": "2026-03-01T09:30:00+00:00", "endsAt": "2026-03-01T10:30:00+00:00"}

    posted = await post(talk, Answer("At ten?", [slot], [service], shown))

    assert posted is not None
    assert (posted.id, posted.slots, posted.services) == (shown, [slot], [str(service)])


async def test_a_burst_is_answered_a_moment_after_its_last_message(stack: Stack) -> None:
    talk = await web_chat(stack)
    moved: list[Moved] = []
    stack.services.tenancy.on_chats = moved.append
    try:
        await talk.visitor("Hello")
        first = (await talk.row())["answer_due_at"]
        await talk.visitor("How much?")
        second = (await talk.row())["answer_due_at"]
    finally:
        stack.services.tenancy.on_chats = None

    assert first < second
    assert [(one.chat_id, one.version, one.answer_due) for one in moved] == [(talk.id, 1, True), (talk.id, 2, True)]
    assert (await talk.snapshot()).awaits_answer
    await talk.past(answer_due_at=LATE)
    assert stack.tenant_id in await stack.services.lookups.due_answers()
    await post(talk)
    assert not (await talk.snapshot()).awaits_answer
    assert (await talk.row())["answer_due_at"] is None


async def undone(talk: Talk) -> None:
    async with talk.writing() as session:
        await talk.chats.receive(session, talk.id, "Hello", "c1")
        raise BadInputError("undo")


async def test_what_is_undone_tells_nobody(stack: Stack) -> None:
    talk = await web_chat(stack)
    moved: list[Moved] = []
    stack.services.tenancy.on_chats = moved.append
    try:
        with pytest.raises(BadInputError, match="undo"):
            await undone(talk)
    finally:
        stack.services.tenancy.on_chats = None

    assert moved == []
    assert await talk.said() == []


@pytest.mark.parametrize(
    ("words", "client_id", "field"),
    [
        (" \n", "c", "text"),
        ("x" * (LONGEST_TEXT + 1), "c", "text"),
        ("x", "", "clientId"),
        ("x", "c" * 101, "clientId"),
    ],
)
async def test_what_cannot_be_a_message_is_refused(stack: Stack, words: str, client_id: str, field: str) -> None:
    talk = await web_chat(stack)

    for write in (talk.chats.receive, talk.chats.write):
        with pytest.raises(BadInputError) as refused:
            async with talk.writing() as session:
                await write(session, talk.id, words, client_id)
        assert refused.value.field == (field,)


async def test_a_closed_conversation_takes_no_message(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("Hello", "c1")
    async with talk.writing() as session:
        await talk.hand_off.close(session, talk.id)

    for write in (talk.visitor("Still there?"), talk.staff("Yes")):
        with pytest.raises(BadInputError) as refused:
            await write
        assert refused.value.code == "CHAT_CLOSED"

    await talk.visitor("Hello", "c1")  # what was sent before is answered as before
    assert await talk.said() == [("USER", "Hello")]


async def test_a_verified_leads_message_is_its_answer_and_a_typed_numbers_is_not(stack: Stack) -> None:
    known, typed = await make_lead(stack), await make_lead(stack)
    proven = await web_chat(stack, lead=known, verified=True)
    claimed = await web_chat(stack, lead=typed)

    await proven.visitor("How much for a sedan?")
    await claimed.visitor("How much for a sedan?")

    assert (await lead_row(stack, known.id))["status"] == LeadStatus.HOT
    assert [row["status"] for row in await touches(stack, known.id)] == ["CANCELLED"]
    assert (await lead_row(stack, typed.id))["status"] == LeadStatus.NEW
    assert [row["status"] for row in await touches(stack, typed.id)] == ["SCHEDULED"]
    assert ((await proven.snapshot()).lead_id, (await claimed.snapshot()).lead_id) == (known.id, None)


async def test_an_answer_by_sms_goes_out_through_the_gate(stack: Stack) -> None:
    talk = await texted(stack)
    assert talk.lead is not None

    assert await post(talk, Answer("From $199.")) is not None
    await talk.deliver()
    await talk.staff("Shall I book you in?")
    await talk.deliver()

    sent = [row for row in await touches(stack, talk.lead.id) if row["kind"] == "REPLY"]
    assert [(row["body"], row["status"]) for row in sent] == [
        ("From $199.", "SENT"),
        ("Shall I book you in?", "SENT"),
    ]
    assert stack.texts(talk.lead.phone)[-2:] == ["From $199.", "Shall I book you in?"]


async def test_what_is_answered_already_does_not_wait_for_the_assistant(stack: Stack) -> None:
    lead, hear = await make_lead(stack), Conversations().hear

    await change(stack, lead.id, lambda s, own: hear(s, own, Channel.SMS, "STOP", "SM1", answerable=False))
    await change(stack, lead.id, lambda s, own: hear(s, own, Channel.EMAIL, "Thanks", "m1"))

    rows = await stack.rows("SELECT answer_due_at FROM chat_sessions WHERE lead_id = :id", id=lead.id)
    assert [row["answer_due_at"] for row in rows] == [None, None]


async def test_what_another_franchise_has_does_not_exist(stack: Stack) -> None:
    talk = await web_chat(stack)
    await talk.visitor("Hello")
    snapshot = await talk.snapshot()
    stranger = Scope.service(uuid4())

    async with stack.services.tenancy.read(stranger) as reading:
        assert await repository.get(reading, talk.id) is None
    for work in (
        lambda s: talk.chats.receive(s, talk.id, "x", "y"),
        lambda s: talk.chats.write(s, talk.id, "x", "y"),
        lambda s: talk.chats.post_answer(s, snapshot, Answer("x")),
        lambda s: talk.hand_off.hand_over(s, talk.id, Reason.ASKED),
        lambda s: talk.hand_off.take_over(s, talk.id),
        lambda s: talk.hand_off.close(s, talk.id),
    ):
        with pytest.raises(NotFoundError):
            async with stack.services.tenancy.write(stranger) as session:
                await work(session)

    assert await talk.said() == [("USER", "Hello")]
