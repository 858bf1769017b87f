"""What is kept of a conversation between its answers: it saves reading, and nothing depends on it."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import event, text
from structlog.testing import capture_logs

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.assistant.context import FORMAT, KEPT_SECONDS, Context, Contexts, key_of
from lead_orchestrator.chat.assistant.service import Became
from lead_orchestrator.privacy.service import erase
from lead_orchestrator.services import open_services
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import generate_key
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.chat.assistant.conversations import Audience, Dialogue, begin, wait_a_moment
from tests.messaging.leads import make_lead
from tests.stack import Stack

PRICE, TIMES = "How much for ceramic tint on a Model 3?", "When are you free?"
NOBODY = "redis://127.0.0.1:1"
LATE_CALL = text("""
INSERT INTO chat_tool_calls (tenant_id, id, location_id, session_id, turn, name, arguments, result, evidence, handles, created_at)
SELECT tenant_id, :id, location_id, session_id, turn, 'opening_hours', '{}', '{}', '{}', '{}', created_at - interval '1 second'
FROM chat_tool_calls WHERE session_id = :chat ORDER BY created_at LIMIT 1""")


@pytest_asyncio.fixture
async def redis(stack: Stack) -> AsyncIterator[Redis]:
    async with Redis.from_url(str(stack.settings.redis_url)) as redis:
        yield redis


@asynccontextmanager
async def locked(chat: Dialogue) -> AsyncIterator[tuple[WriteSession, Any]]:
    async with chat.stack.services.tenancy.write(chat.stack.scope) as session:
        yield session, await repository.get_for_update(session, chat.talk.id)


async def read(chat: Dialogue, redis: Redis | None) -> Context:
    """The context as an answer gets it, by what is kept in `redis`; None: as Postgres has it."""
    async with locked(chat) as (session, row):
        return await Contexts(redis, chat.stack.services.links).of(session, row)


async def talked(stack: Stack, **columns: Any) -> Dialogue:
    """A conversation with two answers, by tools."""
    chat = await begin(stack, **columns)
    await chat.asks(PRICE)
    await chat.asks(TIMES)
    return chat


def key(chat: Dialogue) -> str:
    return key_of(chat.stack.tenant_id, chat.talk.id)


@contextmanager
def rows_read(stack: Stack) -> Iterator[dict[str, int]]:
    """How many rows of these tables are read meanwhile."""
    read = {"chat_messages": 0, "chat_tool_calls": 0}

    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        for table in read:
            if statement.startswith("SELECT") and f"FROM {table}" in statement:
                read[table] += cursor.rowcount

    engine = stack.services.tenancy.engines.app.sync_engine
    event.listen(engine, "after_cursor_execute", count)
    yield read
    event.remove(engine, "after_cursor_execute", count)


async def test_an_answer_reads_what_is_new_and_not_the_whole_conversation(stack: Stack, redis: Redis) -> None:
    chat = await talked(stack)
    for words in ("Thanks!", "And on Friday?", "What are your hours?"):
        await chat.say(words)

    with rows_read(stack) as kept:
        await chat.say("How much is the windshield?")
    await redis.delete(key(chat))
    with rows_read(stack) as rebuilt:
        await chat.say("How much is the windshield?")

    assert kept["chat_messages"] == 2  # the answer of before, and what the customer says now
    assert rebuilt["chat_messages"] == 13
    assert 0 < kept["chat_tool_calls"] < rebuilt["chat_tool_calls"] / 2


async def test_the_model_is_told_the_same_whether_it_was_kept_or_read(stack: Stack, redis: Redis) -> None:
    chat = await talked(stack)

    for client in (redis, redis, None):
        assert await read(chat, client) == await read(chat, None)
    [*_, last] = (await read(chat, redis)).memory.calls
    assert last.evidence.moments


async def _delete(chat: Dialogue, redis: Redis) -> None:
    await redis.delete(key(chat))


async def _no_text(chat: Dialogue, redis: Redis) -> None:
    await redis.set(key(chat), b"\x00\xffgarbage")


async def _no_string(chat: Dialogue, redis: Redis) -> None:
    await redis.delete(key(chat))
    await redis.rpush(key(chat), "garbage")  # type: ignore[misc]  # the library's types allow for the other client too


async def _half(chat: Dialogue, redis: Redis) -> None:
    kept = await redis.get(key(chat))
    await redis.set(key(chat), kept[: len(kept) // 2])


async def _sealed_by_somebody(chat: Dialogue, redis: Redis) -> None:
    """Somebody's own price in an entry of ours."""
    entry = await _opened(chat, redis)
    forged = json.dumps(entry).replace("$600.00", "$1.00")
    assert "$1.00" in forged
    await redis.set(
        key(chat), LinkSigner([generate_key()], "").sign(FORMAT, _ids(chat) + zlib.compress(forged.encode()))
    )


async def _of_another_shape(chat: Dialogue, redis: Redis) -> None:
    await _keep(chat, redis, _ids(chat), {"version": 2})


async def _of_no_shape(chat: Dialogue, redis: Redis) -> None:
    await redis.set(key(chat), chat.stack.services.links.sign(FORMAT, _ids(chat) + b"no text"))


async def _of_another_conversation(chat: Dialogue, redis: Redis) -> None:
    other = await begin(chat.stack)
    await other.asks("Do you tint windshields?")
    await redis.rename(key(other), key(chat))


async def _of_another_franchise(chat: Dialogue, redis: Redis) -> None:
    """The same conversation's number, were it another tenant's."""
    await _keep(chat, redis, uuid4().bytes + chat.talk.id.bytes, await _opened(chat, redis))


async def _of_the_future(chat: Dialogue, redis: Redis) -> None:
    """Postgres was restored from a backup."""
    entry = await _opened(chat, redis)
    entry["version"] += 10
    entry["messages"][-1]["text"] = "What was never said"
    await _keep(chat, redis, _ids(chat), entry)


def _ids(chat: Dialogue) -> bytes:
    return chat.stack.tenant_id.bytes + chat.talk.id.bytes


async def _opened(chat: Dialogue, redis: Redis) -> Any:
    body = chat.stack.services.links.signed(FORMAT, (await redis.get(key(chat))).decode())
    assert body is not None
    return json.loads(zlib.decompress(body[32:]))


async def _keep(chat: Dialogue, redis: Redis, ids: bytes, entry: Any) -> None:
    await redis.set(key(chat), chat.stack.services.links.sign(FORMAT, ids + zlib.compress(json.dumps(entry).encode())))


@pytest.mark.parametrize(
    "spoil",
    [
        _delete,
        _no_text,
        _no_string,
        _half,
        _sealed_by_somebody,
        _of_another_shape,
        _of_no_shape,
        _of_another_conversation,
        _of_another_franchise,
        _of_the_future,
    ],
)
async def test_an_entry_that_is_not_this_conversations_costs_a_reading(
    stack: Stack, redis: Redis, spoil: Callable[[Dialogue, Redis], Awaitable[None]]
) -> None:
    chat = await begin(stack)
    await chat.asks(PRICE)
    await read(chat, redis)  # and keeps what the answer said and showed
    await spoil(chat, redis)

    with rows_read(stack) as rows:
        context = await read(chat, redis)

    assert rows["chat_messages"] == 2
    assert context == await read(chat, None)


async def test_what_was_said_and_shown_since_is_added(stack: Stack, redis: Redis) -> None:
    """Also what a worker that was given up on showed late."""
    chat = await talked(stack)
    await chat.talk.visitor("And for a Model Y?")
    async with chat.talk.writing() as session:
        await session.execute(LATE_CALL, {"id": UUID(int=1), "chat": chat.talk.id})

    context = await read(chat, redis)

    assert context == await read(chat, None)
    assert context.messages[-1].text == "And for a Model Y?"
    assert context.memory.calls[0].name == "opening_hours"


async def test_what_was_shown_yesterday_counts_no_more(stack: Stack, redis: Redis) -> None:
    chat = await talked(stack)
    assert (await read(chat, redis)).memory.calls

    await stack.wind(timedelta(hours=25))
    try:
        assert (await read(chat, redis)).memory.calls == []
    finally:
        await stack.wind(timedelta(hours=-25))


async def test_it_is_kept_for_a_while_only(stack: Stack, redis: Redis) -> None:
    chat = await talked(stack)

    assert 0 < await redis.ttl(key(chat)) <= KEPT_SECONDS


async def test_without_redis_the_customer_is_answered(stack: Stack) -> None:
    chat = await begin(stack)
    async with open_services(stack.settings.model_copy(update={"redis_url": NOBODY})) as alone:
        await chat.talk.visitor(PRICE)
        await chat.hurry()
        with capture_logs() as logged:
            done = await alone.assistant.answer(stack.tenant_id, chat.talk.id)

    assert done.became is Became.ANSWERED
    assert [line["event"] for line in logged].count("contexts_unreachable") == 1
    assert "$600.00" in (await chat.texts("ASSISTANT"))[0]


async def test_a_redis_that_hangs_is_not_waited_for_twice(stack: Stack) -> None:
    asked = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    chat = await begin(stack)
    await chat.asks(PRICE)
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Redis.from_url(url) as away, locked(chat) as (session, row):
        contexts = Contexts(away, stack.services.links, clock=lambda: 1000.0)
        found = [await contexts.of(session, row) for _ in range(3)]

    assert [len(context.messages) for context in found] == [2, 2, 2]
    assert asked == 1


async def test_a_conversation_that_is_closed_leaves_nothing(stack: Stack, redis: Redis) -> None:
    chat = await talked(stack)
    assert await redis.exists(key(chat))

    async with chat.talk.writing() as session:
        await chat.talk.hand_off.close(session, chat.talk.id)

    assert not await redis.exists(key(chat))


async def _erase(stack: Stack, lead_id: UUID) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        await erase(session, stack.services.leads, lead_id)


async def test_a_customer_who_is_erased_leaves_nothing(stack: Stack, redis: Redis) -> None:
    """Neither in their conversation, nor in the one that somebody began under their number."""
    lead = await make_lead(stack)
    chats = [
        await talked(stack, lead=lead, verified=True),
        await talked(stack, visitor_phone=lead.phone, visitor_name="Somebody"),
    ]
    assert await redis.exists(*map(key, chats)) == 2

    await _erase(stack, lead.id)

    assert await redis.exists(*map(key, chats)) == 0


async def test_who_is_erased_while_an_answer_begins_leaves_nothing(stack: Stack, redis: Redis) -> None:
    """Erasing waits for whoever is about to keep something."""
    lead = await make_lead(stack)
    chat = await talked(stack, lead=lead, verified=True)
    async with locked(chat) as (session, row):
        erasing = asyncio.create_task(_erase(stack, lead.id))
        async with asyncio.timeout(60):
            while not erasing.done() and not await _somebody_waits(stack):
                await wait_a_moment()
        await Contexts(redis, stack.services.links).of(session, row)
    await erasing

    assert not await redis.exists(key(chat))


async def _somebody_waits(stack: Stack) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await stack.rows(waiting))


async def test_who_is_erased_while_an_answer_is_written_is_not_answered(as_set: Stack, redis: Redis) -> None:
    lead = await make_lead(as_set)
    chat = await begin(as_set, lead=lead, verified=True)
    as_set.services.assistant.listener = Audience(lambda: _erase(as_set, lead.id))

    done = await chat.say(PRICE)

    assert done.became is Became.SUPERSEDED
    assert not await redis.exists(key(chat))
    assert await as_set.rows("SELECT 1 FROM chat_messages WHERE session_id = :id", id=chat.talk.id) == []
