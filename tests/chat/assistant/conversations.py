"""Whole conversations with the assistant, without waiting for bursts."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from lead_orchestrator.chat.assistant.service import Became, Done
from lead_orchestrator.chat.assistant.setup import Change, change
from lead_orchestrator.chat.models import ChatRole
from tests.chat.talk import Talk, web_chat
from tests.stack import Stack

__all__ = ["Audience", "Dialogue", "begin", "configure", "sell", "wait_a_moment"]


class Audience:
    """Sees an answer while it is written; `meanwhile` happens at the first words."""

    def __init__(self, meanwhile: Any = None) -> None:
        self.seen: list[tuple[UUID, int, str]] = []
        self._meanwhile = meanwhile

    async def typing(self, chat_id: UUID, role: ChatRole) -> None:
        """Nothing to see."""

    async def delta(self, chat_id: UUID, message_id: UUID, offset: int, text: str) -> None:  # noqa: ARG002 - a protocol
        self.seen.append((message_id, offset, text))
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()

    @property
    def text(self) -> str:
        whole = ""
        for _, offset, part in self.seen:
            assert offset == len(whole)
            whole += part
        return whole


async def configure(stack: Stack, **columns: Any) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        await change(session, Change())
        for name, value in columns.items():
            await session.execute(text(f"UPDATE tenant_assistant_configs SET {name} = :v"), {"v": value})  # noqa: S608 - names of ours


class Dialogue:
    """A customer and the assistant, turn by turn; `spoken` is what the customer saw, deltas included."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.stack = talk.stack

    async def say(self, *words: str) -> Done:
        """The customer writes, all at once, and is answered."""
        for one in words:
            await self.talk.visitor(one)
        await self.hurry()
        return await self.answer()

    async def answer(self) -> Done:
        return await self.stack.services.assistant.answer(self.stack.tenant_id, self.talk.id)

    async def hurry(self) -> None:
        """Whatever is waited for is over."""
        await self.talk.past(answer_due_at=timedelta(minutes=10))

    async def asks(self, *words: str) -> str:
        """What the assistant says to it."""
        done = await self.say(*words)
        assert done.became is Became.ANSWERED, done
        return (await self.talk.said())[-1][1]

    async def texts(self, *roles: str) -> list[str]:
        return [said for role, said in await self.talk.said() if not roles or role in roles]

    async def calls(self) -> list[dict[str, Any]]:
        return await self.stack.rows(
            "SELECT * FROM chat_tool_calls WHERE session_id = :id ORDER BY created_at, id", id=self.talk.id
        )

    async def appointments(self) -> list[dict[str, Any]]:
        """Those that were made in this conversation."""
        made = [
            UUID(handle["appointment"])
            for call in await self.calls()
            for handle in call["handles"].values()
            if "appointment" in handle
        ]
        rows = await self.stack.rows("SELECT * FROM appointments WHERE id = ANY(:ids)", ids=made)
        return [row for row in rows if row["status"] == "CONFIRMED"]


async def begin(stack: Stack, **columns: Any) -> Dialogue:
    """A conversation on the web; see `web_chat`."""
    return Dialogue(await web_chat(stack, **columns))


async def sell(stack: Stack, *, bays: int = 1) -> None:
    """The shops have the sandbox's catalog, are open from 9 to 18 on weekdays, and have so many bays."""
    for location_id in stack.locations.values():
        await stack.services.catalog.sync(stack.scope, location_id)
    async with stack.services.tenancy.write(stack.scope) as session:
        for location_id, day in itertools.product(stack.locations.values(), range(1, 6)):
            values = {"tenant": stack.tenant_id, "location": location_id, "day": day}
            await session.execute(
                text(
                    "INSERT INTO location_hours (tenant_id, location_id, day_of_week, opens_at, closes_at)"
                    " VALUES (:tenant, :location, :day, '09:00', '18:00') ON CONFLICT DO NOTHING"
                ),
                values,
            )
        await session.execute(text("UPDATE locations SET bays = :bays"), {"bays": bays})


async def wait_a_moment() -> None:
    """Between two looks at what is waited for."""
    await asyncio.sleep(0.02)
