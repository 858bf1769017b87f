"""All SQL about the assistant's settings, its turn and its budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Uuid, func, select, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.chat.assistant.models import (
    DEBOUNCE_MS,
    AssistantConfig,
    AssistantDay,
    AssistantMonth,
    AssistantPrompt,
)
from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.tenancy.models import Tenant
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "config",
    "debounce",
    "due_chats",
    "instructions",
    "last_prompt",
    "lead_tokens",
    "lease",
    "lock_config",
    "month_tokens",
    "monthly_budget",
    "new_id",
    "settle",
    "take_day",
    "take_month",
]


async def config(session: ReadSession) -> AssistantConfig | None:
    return await session.scalar(select(AssistantConfig).where(AssistantConfig.tenant_id == session.scope.tenant_id))


async def debounce(session: ReadSession) -> timedelta:
    """How long a burst of messages is waited out before it is answered."""
    statement = select(AssistantConfig.debounce_ms).where(AssistantConfig.tenant_id == session.scope.tenant_id)
    milliseconds = await session.scalar(statement)
    return timedelta(milliseconds=DEBOUNCE_MS if milliseconds is None else milliseconds)


async def lock_config(session: WriteSession) -> AssistantConfig:
    """The tenant's row, made if there is none, locked."""
    made = insert(AssistantConfig).values(tenant_id=session.scope.tenant_id).on_conflict_do_nothing()
    await session.execute(made)
    statement = select(AssistantConfig).where(AssistantConfig.tenant_id == session.scope.tenant_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def instructions(session: ReadSession, version: int) -> str:
    statement = select(AssistantPrompt.instructions).where(
        AssistantPrompt.tenant_id == session.scope.tenant_id, AssistantPrompt.version == version
    )
    return await session.scalar(statement) or ""


async def last_prompt(session: ReadSession) -> int:
    """The newest version of the tenant's instructions; 0 before there is one."""
    statement = select(func.max(AssistantPrompt.version)).where(AssistantPrompt.tenant_id == session.scope.tenant_id)
    return await session.scalar(statement) or 0


def add(session: WriteSession, row: AssistantPrompt) -> None:
    session.add(row)


async def due_chats(session: ReadSession, limit: int) -> Sequence[UUID]:
    """Conversations in which the assistant is to answer now, those that wait longest first."""
    statement = (
        select(ChatSession.id)
        .where(ChatSession.tenant_id == session.scope.tenant_id, ChatSession.answer_due_at <= func.clock_timestamp())
        .order_by(ChatSession.answer_due_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


def lease(chat: ChatSession, seconds: float) -> None:
    """Whoever is answering has so long; then somebody else tries."""
    chat.answer_due_at = func.clock_timestamp() + timedelta(seconds=seconds)
    chat.answer_attempts += 1


async def new_id(session: ReadSession) -> UUID:
    """The id of a message that is still to be written."""
    return (await session.scalars(select(func.uuidv7(type_=Uuid())))).one()


async def month_tokens(session: ReadSession, month: date) -> int:
    statement = select(AssistantMonth.tokens).where(
        AssistantMonth.tenant_id == session.scope.tenant_id, AssistantMonth.month == month
    )
    return await session.scalar(statement) or 0


async def take_month(session: WriteSession, month: date, tokens: int, budget: int) -> bool:
    """Count a call of so many tokens; False, and nothing is counted, where the budget is used up. Calls of a tenant take turns here."""
    row = insert(AssistantMonth).values(tenant_id=session.scope.tenant_id, month=month, calls=1, tokens=tokens)
    counted = row.on_conflict_do_update(
        index_elements=[AssistantMonth.tenant_id, AssistantMonth.month],
        set_={"calls": AssistantMonth.calls + 1, "tokens": AssistantMonth.tokens + tokens},
        where=AssistantMonth.tokens < budget,
    ).returning(AssistantMonth.tokens)
    return budget > 0 and await session.scalar(counted) is not None


async def lead_tokens(session: ReadSession, chat_id: UUID, lead_id: UUID | None, day: date) -> int:
    """What was used that day in all conversations of the lead, without a lead in this one. Of conversations in which
    somebody only typed the lead's number none counts: else a stranger could use up what is the lead's."""
    own = select(func.coalesce(func.sum(AssistantDay.tokens), 0)).where(
        AssistantDay.tenant_id == session.scope.tenant_id, AssistantDay.day == day
    )
    if lead_id is None:
        return int(await session.scalar(own.where(AssistantDay.session_id == chat_id)) or 0)
    theirs = select(ChatSession.id).where(
        ChatSession.tenant_id == session.scope.tenant_id, ChatSession.lead_id == lead_id, ChatSession.verified
    )
    return int(await session.scalar(own.where(AssistantDay.session_id.in_(theirs))) or 0)


async def take_day(session: WriteSession, chat_id: UUID, location_id: UUID, day: date, tokens: int) -> None:
    row = insert(AssistantDay).values(
        tenant_id=session.scope.tenant_id, location_id=location_id, session_id=chat_id, day=day, calls=1, tokens=tokens
    )
    counted = row.on_conflict_do_update(
        index_elements=[AssistantDay.tenant_id, AssistantDay.session_id, AssistantDay.day],
        set_={"calls": AssistantDay.calls + 1, "tokens": AssistantDay.tokens + tokens},
    )
    await session.execute(counted)


async def settle(session: WriteSession, chat_id: UUID, at: datetime, change: int) -> None:
    """What a call cost more, or less, than was counted for it when it began at `at`."""
    month = update(AssistantMonth).where(
        AssistantMonth.tenant_id == session.scope.tenant_id, AssistantMonth.month == at.date().replace(day=1)
    )
    day = update(AssistantDay).where(
        AssistantDay.tenant_id == session.scope.tenant_id,
        AssistantDay.session_id == chat_id,
        AssistantDay.day == at.date(),
    )
    await session.execute(month.values(tokens=func.greatest(0, AssistantMonth.tokens + change)))
    await session.execute(day.values(tokens=func.greatest(0, AssistantDay.tokens + change)))


async def monthly_budget(session: ReadSession) -> int | None:
    """What an administrator set; None: the installation's default."""
    return await session.scalar(select(Tenant.assistant_token_budget).where(Tenant.id == session.scope.tenant_id))
