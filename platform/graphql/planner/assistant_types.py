"""The franchise's assistant in SQL: what is set about it, and what it has used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import DOUBLE_PRECISION, Date, and_, case, cast, func, literal_column, select

from lead_orchestrator.chat.assistant.models import (
    DEBOUNCE_MS,
    LEAD_TOKENS_A_DAY,
    TOKENS_A_MONTH,
    AssistantConfig,
    AssistantDay,
    AssistantMonth,
    AssistantPrompt,
)
from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.graphql.planner.declare import Entity, Field, Inside, Leaf, Root, Row, Target
from lead_orchestrator.graphql.planner.expressions import table

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS", "USAGE"]

_TODAY = cast(func.timezone(literal_column("'UTC'"), func.app_now()), Date)


def _chosen(tenant: Row, column: str) -> Any:
    """Null where the franchise has set nothing."""
    chosen = table(AssistantConfig).alias()
    mine = select(chosen.c[column]).where(chosen.c.tenant_id == tenant.c.tenant_id)
    return mine.correlate(tenant).scalar_subquery()


def _set(column: str, default: str) -> Leaf:
    return Leaf(lambda tenant: func.coalesce(_chosen(tenant, column), literal_column(default)))


def _instructions(tenant: Row) -> Any:
    prompt = table(AssistantPrompt).alias()
    mine = select(prompt.c.instructions).where(
        prompt.c.tenant_id == tenant.c.tenant_id, prompt.c.version == _chosen(tenant, "prompt_version")
    )
    return func.coalesce(mine.correlate(tenant).scalar_subquery(), literal_column("''"))


def _debounce(tenant: Row) -> Any:
    milliseconds = func.coalesce(_chosen(tenant, "debounce_ms"), literal_column(str(DEBOUNCE_MS)))
    return cast(milliseconds, DOUBLE_PRECISION) / literal_column("1000")


_ASSISTANT = Inside(
    "TenantAssistant",
    {
        "enabled": _set("enabled", "true"),
        "model": Leaf(lambda tenant: _chosen(tenant, "model")),
        "instructions": Leaf(_instructions),
        "promptVersion": _set("prompt_version", "0"),
        "debounceSeconds": Leaf(_debounce),
        "leadTokensPerDay": _set("lead_tokens_a_day", str(LEAD_TOKENS_A_DAY)),
    },
)


def _tokens_this_month(tenant: Row) -> Any:
    spent = table(AssistantMonth).alias()
    month = cast(
        func.date_trunc(literal_column("'month'"), func.timezone(literal_column("'UTC'"), func.app_now())), Date
    )
    mine = select(spent.c.tokens).where(spent.c.tenant_id == tenant.c.tenant_id, spent.c.month == month)
    return func.coalesce(mine.correlate(tenant).scalar_subquery(), literal_column("0"))


def _customers_today(tenant: Row) -> Any:
    """What each customer has used today; who has not proved to be a lead is one in each conversation."""
    day, chat = table(AssistantDay).alias(), table(ChatSession).alias()
    customer = case((and_(chat.c.verified, chat.c.lead_id.is_not(None)), chat.c.lead_id), else_=chat.c.id)
    rows = day.join(chat, and_(chat.c.tenant_id == day.c.tenant_id, chat.c.id == day.c.session_id))
    mine = select(func.sum(day.c.tokens).label("tokens")).select_from(rows)
    mine = mine.where(day.c.tenant_id == tenant.c.tenant_id, day.c.day == _TODAY).group_by(customer)
    return mine.correlate(tenant).subquery()


def _most_today(tenant: Row) -> Any:
    customers = _customers_today(tenant)
    most = select(func.coalesce(func.max(customers.c.tokens), literal_column("0")))
    return most.select_from(customers).correlate(tenant).scalar_subquery()


def _used_up_today(tenant: Row) -> Any:
    customers = _customers_today(tenant)
    budget = func.coalesce(_chosen(tenant, "lead_tokens_a_day"), literal_column(str(LEAD_TOKENS_A_DAY)))
    over = select(func.count()).select_from(customers).where(customers.c.tokens >= budget)
    return over.correlate(tenant).scalar_subquery()


USAGE: Mapping[str, Field] = {
    "assistantTokensThisMonth": Leaf(_tokens_this_month),
    "assistantTokenBudget": Leaf(
        lambda tenant: func.coalesce(tenant.c.assistant_token_budget, literal_column(str(TOKENS_A_MONTH)))
    ),
    "leadTokensToday": Leaf(_most_today),
    "leadTokenBudget": _set("lead_tokens_a_day", str(LEAD_TOKENS_A_DAY)),
    "leadsUsedUpToday": Leaf(_used_up_today),
}

MORE_FIELDS = {"Tenant": {"assistant": _ASSISTANT}}
ENTITIES: Mapping[str, Entity] = {}
ROOTS: Mapping[str, Root] = {}
TARGETS: Mapping[str, Target] = {}
