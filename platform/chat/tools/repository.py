"""All SQL about the tools that were called."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from lead_orchestrator.chat.tools.models import ChatToolCall
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["MOST_REMEMBERED", "add", "calls_since"]

MOST_REMEMBERED = 100


async def calls_since(
    session: ReadSession, chat_id: UUID, age: timedelta, *, besides: Sequence[UUID] = ()
) -> Sequence[ChatToolCall]:
    """The newest calls of a conversation that are no older than `age` on the product's clock, the oldest first,
    without those that are known already."""
    statement = (
        select(ChatToolCall)
        .where(
            ChatToolCall.tenant_id == session.scope.tenant_id,
            ChatToolCall.session_id == chat_id,
            ChatToolCall.created_at > func.app_now() - age,
            *([ChatToolCall.id.not_in(besides)] if besides else ()),
        )
        .order_by(ChatToolCall.created_at.desc(), ChatToolCall.id.desc())
        .limit(MOST_REMEMBERED)
    )
    return list(await session.scalars(statement))[::-1]


def add(session: WriteSession, row: ChatToolCall) -> None:
    session.add(row)
