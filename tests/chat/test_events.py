"""What subscribers of a conversation are told, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from sqlalchemy import text

from lead_orchestrator.chat.conversations import Answer
from lead_orchestrator.chat.live import Live, channel_of
from lead_orchestrator.chat.models import ChatRole
from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.tokens import Role
from tests.chat.site import Site, widget
from tests.graphql.subscriptions.client import Peer, connected
from tests.graphql.subscriptions.javascript import javascript_peer
from tests.jobs.relay import Relay
from tests.messaging.leads import make_lead

PATIENCE = 20.0


class Listener:
    """A subscription to a conversation."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def next(self) -> dict[str, Any]:
        heard = await self.peer.hear(PATIENCE)
        assert heard["type"] == "next", heard
        assert "errors" not in heard["payload"], heard
        event: dict[str, Any] = heard["payload"]["data"]["chatEvents"]
        return event

    async def texts(self, number: int) -> list[str]:
        return [(await self.next())["message"]["text"] for _ in range(number)]

    async def in_step(self) -> None:
        """Until the server has handled all that was said, with nothing else to tell."""
        await self.peer.say(type="ping")
        assert await self.peer.hear(PATIENCE) == {"type": "pong"}


@asynccontextmanager
async def listening(site: Site, session_id: str, token: str, after: str | None = None) -> AsyncIterator[Listener]:
    async with connected(site.url, token) as peer:
        await peer.subscribe("1", widget("WidgetChatEvents"), sessionId=session_id, after=after)
        listener = Listener(peer)
        if after is None:
            await listener.in_step()
        yield listener


@asynccontextmanager
async def live_of(site: Site) -> AsyncIterator[Live]:
    """As the worker has it."""
    redis = Redis.from_url(str(site.stack.settings.redis_url))
    live = Live(redis)
    yield live
    await live.close()
    await redis.aclose()


async def test_both_sides_are_told_of_everything_in_its_order(site: Site) -> None:
    visitor = await site.visitor()
    async with (
        listening(site, visitor.session_id, visitor.token) as page,
        listening(site, visitor.session_id, site.staff()) as desk,
    ):
        await visitor.say("Hello", "c1")
        take = "mutation($i: ID!) { takeOverChat(sessionId: $i) { errors { code } } }"
        await site.post(take, {"i": visitor.session_id}, site.staff())

        for listener in (page, desk):
            said, state, told = [await listener.next() for _ in range(3)]
            assert (said["__typename"], said["cursor"]) == ("ChatMessageAdded", "cmv_1")
            assert (said["message"]["role"], said["message"]["text"], said["message"]["clientId"]) == (
                "USER",
                "Hello",
                "c1",
            )
            assert state == {"__typename": "ChatStateChanged", "cursor": "cmv_2", "state": "HUMAN"}
            assert (told["cursor"], told["message"]["role"]) == ("cmv_3", "SYSTEM")


async def test_words_are_shown_as_they_are_written_and_then_replaced_or_taken_back(site: Site) -> None:
    visitor = await site.visitor()
    talk = visitor.talk
    await visitor.say("How much?", "c1")
    async with listening(site, visitor.session_id, visitor.token) as page, live_of(site) as live:
        first, second = uuid4(), uuid4()
        snapshot = await talk.snapshot()
        await live.typing(visitor.key, ChatRole.ASSISTANT)
        await live.delta(visitor.key, first, 0, "From $199.")
        typing, delta = await page.next(), await page.next()
        async with talk.writing() as session:
            posted = await talk.chats.post_answer(session, snapshot, Answer("From $199.", message_id=first))
        added = await page.next()
        await live.delta(visitor.key, second, 0, "Or so")
        await page.next()
        async with talk.writing() as session:
            assert await talk.chats.post_answer(session, snapshot, Answer("Or so", message_id=second)) is None
        retracted = await page.next()

    assert posted is not None
    assert typing == {"__typename": "ChatTyping", "role": "ASSISTANT"}
    assert delta == {"__typename": "ChatMessageDelta", "messageId": f"cmsg_{first}", "offset": 0, "text": "From $199."}
    assert (added["cursor"], added["message"]["id"]) == ("cmv_2", f"cmsg_{first}")
    assert retracted == {"__typename": "ChatMessageRetracted", "cursor": "cmv_3", "messageId": f"cmsg_{second}"}


async def test_each_side_sees_the_other_typing(site: Site) -> None:
    visitor = await site.visitor()
    typing = "mutation($i: ID!) { setTyping(sessionId: $i) }"
    async with (
        listening(site, visitor.session_id, visitor.token) as page,
        listening(site, visitor.session_id, site.staff()) as desk,
    ):
        assert await visitor.ask("WidgetSetTyping", sessionId=visitor.session_id) is True
        assert [(await one.next())["role"] for one in (page, desk)] == ["USER", "USER"]
        await site.post(typing, {"i": visitor.session_id}, site.staff())
        assert [(await one.next())["role"] for one in (page, desk)] == ["STAFF", "STAFF"]


async def test_a_cursor_replays_what_was_missed_and_nothing_else(site: Site) -> None:
    visitor = await site.visitor()
    for number in range(5):
        await visitor.say(f"Message {number}", f"c{number}")

    async with listening(site, visitor.session_id, visitor.token, "cmv_3") as page:
        assert await page.texts(2) == ["Message 3", "Message 4"]
        await visitor.say("Live", "live")
        assert await page.texts(1) == ["Live"]
        await page.in_step()


async def test_a_cursor_ahead_of_the_conversation_is_refused(site: Site) -> None:
    visitor = await site.visitor()
    for cursor in ("cmv_1", "lev_0", "x"):
        async with connected(site.url, visitor.token) as peer:
            await peer.subscribe("1", widget("WidgetChatEvents"), sessionId=visitor.session_id, after=cursor)
            assert await peer.refusal() == "BAD_USER_INPUT"


async def test_a_browser_that_loses_its_connection_misses_nothing_and_gets_nothing_twice(site: Site) -> None:
    visitor = await site.visitor()
    script = Path(__file__).with_name("peer.mjs")
    arguments = (visitor.token, visitor.session_id, widget("WidgetChatEvents"))
    async with Relay.to(site.url) as relay:
        url = relay.url.replace("http://", "ws://") + "/graphql"
        async with javascript_peer(url, *arguments, script=script) as page:
            await visitor.say("Connected", "first")
            assert (await page.line())["message"]["text"] == "Connected"
            heard: list[str] = []
            broken = 0
            for turn in range(3):
                for number in range(4):
                    await visitor.say(f"{turn}.{number}", f"{turn}.{number}")
                    if number == 1:
                        await relay.cut()
                await relay.mend()
                while len(heard) < (turn + 1) * 4:
                    line = await page.line()
                    assert "error" not in line, line
                    broken += "closed" in line
                    if "message" in line:
                        heard.append(line["message"]["text"])

    assert heard == [f"{turn}.{number}" for turn in range(3) for number in range(4)]
    assert broken >= 3


async def test_who_joins_while_others_write_gets_every_entry_once(site: Site) -> None:
    visitor = await site.visitor()

    async def write() -> None:
        for number in range(30):
            await visitor.talk.visitor(f"{number}")

    writing = asyncio.create_task(write())
    heard = []
    for _ in range(4):
        async with listening(site, visitor.session_id, visitor.token, "cmv_0") as page:
            heard.append(await page.texts(30))
    await writing

    assert heard == [[str(number) for number in range(30)]] * 4


async def test_a_visitor_hears_no_other_conversation_even_of_its_lead(site: Site) -> None:
    lead = await make_lead(site.stack)
    token = site.stack.services.links.token("chat", lead.tenant_id, lead.id)
    first = await site.visitor(chatToken=token)
    async with first.talk.writing() as session:
        await first.talk.hand_off.close(session, first.key)
    second, stranger = await site.visitor(chatToken=token), await site.visitor()

    for other in (second, stranger):
        async with connected(site.url, other.token) as peer:
            await peer.subscribe("1", widget("WidgetChatEvents"), sessionId=first.session_id, after="cmv_0")
            assert await peer.refusal() == "NOT_FOUND"


async def test_staff_hears_conversations_of_its_locations_only(site: Site) -> None:
    visitor = await site.visitor()
    elsewhere = site.staff(role=Role.AGENT, locations=list(site.stack.locations.values())[1:2])
    here = site.staff(role=Role.AGENT, locations=list(site.stack.locations.values())[:1])

    async with connected(site.url, elsewhere) as peer:
        await peer.subscribe("1", widget("WidgetChatEvents"), sessionId=visitor.session_id)
        assert await peer.refusal() == "NOT_FOUND"
    async with listening(site, visitor.session_id, here) as desk:
        await visitor.say("Hello", "c1")
        assert await desk.texts(1) == ["Hello"]


async def test_a_wake_up_that_is_lost_is_found_and_one_that_is_made_up_does_no_harm(site: Site) -> None:
    visitor = await site.visitor()
    async with listening(site, visitor.session_id, visitor.token) as page:
        redis = Redis.from_url(str(site.stack.settings.redis_url))
        for nonsense in (
            '{"version": 4711}',
            "{",
            "[]",
            '{"messageId": "x", "offset": 0, "text": ""}',
            '{"typing": "GOD"}',
        ):
            await redis.publish(channel_of(visitor.key), nonsense)
        await redis.aclose()
        await visitor.talk.visitor("Without a bell")  # these services ring nobody

        assert await page.texts(1) == ["Without a bell"]


async def test_a_visitors_socket_ends_with_its_token(site: Site) -> None:
    visitor = await site.visitor()
    short = token_issuer(site.stack.settings).issue(
        subject=visitor.session_id,
        role=Role.VISITOR,
        tenant_id=site.stack.tenant_id,
        location_ids=list(site.stack.locations.values())[:1],
        session_id=visitor.key,
        lifetime=timedelta(seconds=2),
    )
    async with listening(site, visitor.session_id, short) as page:
        code, _ = await page.peer.closed(PATIENCE)

    assert code == 4403


async def test_an_erased_conversation_tells_nothing_more(site: Site) -> None:
    visitor = await site.visitor()
    await visitor.say("Hello", "c1")
    async with visitor.talk.writing() as session:
        for table, column in (("chat_messages", "session_id"), ("chat_sessions", "id")):
            await session.execute(text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": visitor.key})  # noqa: S608 - names of ours

    async with connected(site.url, visitor.token) as peer:
        await peer.subscribe("1", widget("WidgetChatEvents"), sessionId=visitor.session_id, after="cmv_0")
        assert await peer.refusal() == "NOT_FOUND"
