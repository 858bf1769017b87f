"""Conversations of a stack's tenant, as tests hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.conversations import MOST_REMEMBERED, Conversations, Snapshot
from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.sessions import Scope, WriteSession
from tests.messaging.leads import change, make_lead
from tests.stack import Stack

__all__ = ["Talk", "add_user", "texted", "web_chat"]


class Talk:
    """One conversation, and what is done to it, each in a transaction of its own."""

    def __init__(self, stack: Stack, chat_id: UUID, lead: Lead | None = None) -> None:
        self.stack = stack
        self.id = chat_id
        self.lead = lead
        self.chats = stack.services.chats
        self.hand_off = stack.services.hand_off

    @asynccontextmanager
    async def writing(self, user: UUID | None = None) -> AsyncIterator[WriteSession]:
        """In the name of `user`, a service's unless told."""
        scope = Scope.service(self.stack.tenant_id, f"user_{user}" if user else "tests")
        async with self.stack.services.tenancy.write(scope) as session:
            yield session

    async def visitor(self, words: str, client_id: str | None = None) -> UUID:
        async with self.writing() as session:
            return (await self.chats.receive(session, self.id, words, client_id or uuid4().hex)).id

    async def staff(self, words: str, client_id: str | None = None, user: UUID | None = None) -> UUID:
        async with self.writing(user) as session:
            return (await self.chats.write(session, self.id, words, client_id or uuid4().hex)).id

    async def snapshot(self) -> Snapshot:
        async with self.stack.services.tenancy.read(self.stack.scope) as session:
            chat = await repository.get(session, self.id)
            assert chat is not None
            return Snapshot.of(chat, await repository.newest_messages(session, chat.id, MOST_REMEMBERED))

    async def row(self) -> dict[str, Any]:
        [row] = await self.stack.rows("SELECT * FROM chat_sessions WHERE id = :id", id=self.id)
        return row

    async def said(self) -> list[tuple[str, str]]:
        rows = await self.stack.rows(
            "SELECT role, text FROM chat_messages WHERE session_id = :id ORDER BY version", id=self.id
        )
        return [(row["role"], row["text"]) for row in rows]

    async def changes(self) -> list[dict[str, Any]]:
        return await self.stack.rows("SELECT * FROM chat_changes WHERE session_id = :id ORDER BY version", id=self.id)

    async def deliver(self) -> None:
        """Send what is due to the lead: one message at a time, as to everybody."""
        assert self.lead is not None
        for _ in range(3):
            await self.stack.services.dispatcher.dispatch(self.stack.tenant_id, self.lead.id)

    async def silence(self, minutes: int | None) -> None:
        """How long the franchise waits for a person before the assistant answers again."""
        async with self.writing() as session:
            await session.execute(
                text("UPDATE tenant_messaging_configs SET assistant_resumes_minutes = :m"), {"m": minutes}
            )

    async def set(self, **columns: object) -> None:
        """Write columns of the conversation as they are given."""
        async with self.writing() as session:
            for name, value in columns.items():
                statement = text(f"UPDATE chat_sessions SET {name} = :value WHERE id = :id")  # noqa: S608 - names of ours
                await session.execute(statement, {"value": value, "id": self.id})

    async def past(self, **columns: timedelta) -> None:
        """Move moments of the conversation into the past."""
        async with self.writing() as session:
            for name, by in columns.items():
                statement = text(f"UPDATE chat_sessions SET {name} = {name} - cast(:by AS interval) WHERE id = :id")  # noqa: S608 - names of ours
                await session.execute(statement, {"by": by, "id": self.id})


async def texted(stack: Stack, words: str = "How much for a Model 3?", **lead: Any) -> Talk:
    """A lead's conversation by SMS, which begins with the customer's text."""
    found = await make_lead(stack, **lead)
    ids: list[UUID] = []

    async def hear(session: WriteSession, held: Lead) -> None:
        ids.append(await Conversations().hear(session, held, Channel.SMS, words, uuid4().hex))

    await change(stack, found.id, hear)
    return Talk(stack, ids[0], found)


async def web_chat(stack: Stack, *, lead: Lead | None = None, verified: bool = False, **columns: Any) -> Talk:
    """A conversation on the web at the first shop, in which nothing was said yet."""
    async with stack.services.tenancy.write(stack.scope) as session:
        chat = ChatSession(
            tenant_id=stack.tenant_id,
            location_id=lead.location_id if lead else next(iter(stack.locations.values())),
            lead_id=lead.id if lead else None,
            channel=Channel.WEB_CHAT,
            verified=verified,
            created_at=await app_now(session),
            **columns,
        )
        session.add(chat)
        await session.flush()
    return Talk(stack, chat.id, lead)


async def add_user(stack: Stack, name: str | None, locations: list[UUID] | None = None, role: str = "AGENT") -> UUID:
    async with stack.services.tenancy.write(stack.scope) as session:
        user = User(
            tenant_id=stack.tenant_id,
            email=f"u{uuid4().hex[:8]}@example.com",
            name=name,
            role=role,
            location_ids=locations,
        )
        session.add(user)
        await session.flush()
    return user.id
