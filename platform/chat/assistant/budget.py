"""What the assistant may spend: tokens a month of a franchise, tokens a day of a lead. Postgres counts; what is used up is not used.

A call is counted before it is made, at what it can cost at most as far as that is known, and corrected by what it did cost. One
that is interrupted stays counted. So calls that are made at once cannot spend the same tokens, and a budget is exceeded by one call
at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lead_orchestrator.chat.assistant import repository
from lead_orchestrator.chat.assistant.models import Setup
from lead_orchestrator.chat.tools.models import Bound
from lead_orchestrator.clock import app_now
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["BudgetUsedUp", "Budgets", "Counted", "estimate"]

_LETTERS_A_TOKEN = 3  # of English and JSON about four: rather too many counted than too few


class BudgetUsedUp(Exception):  # noqa: N818  # named as what happened
    """`whose` budget: the lead's of the day, or the tenant's of the month."""

    def __init__(self, whose: str) -> None:
        super().__init__(f"the budget of the {whose} is used up")
        self.whose = whose


@dataclass(frozen=True)
class Counted:
    """A call that was counted."""

    tenant_id: UUID
    chat_id: UUID
    at: datetime
    tokens: int


def estimate(messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]], most: int) -> int:
    """What a call can cost."""
    letters = len(json.dumps([messages, tools], default=str, ensure_ascii=False))
    return letters // _LETTERS_A_TOKEN + most


class Budgets:
    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def count(self, bound: Bound, setup: Setup, tokens: int) -> Counted:
        """Count a call before it is made.

        Raises:
            BudgetUsedUp: it must not be made.
        """
        async with self._tenancy.write(Scope.service(bound.tenant_id, "assistant")) as session:
            now = await app_now(session)
            month = now.date().replace(day=1)
            if not await repository.take_month(session, month, tokens, setup.tokens_a_month):
                raise BudgetUsedUp("tenant")
            used = await repository.lead_tokens(session, bound.chat_id, bound.lead_id, now.date())
            if used >= setup.lead_tokens_a_day:
                raise BudgetUsedUp("lead")
            await repository.take_day(session, bound.chat_id, bound.location_id, now.date(), tokens)
        return Counted(bound.tenant_id, bound.chat_id, now, tokens)

    async def settle(self, counted: Counted, cost: int) -> None:
        """What the call cost in the end."""
        if cost == counted.tokens:
            return
        async with self._tenancy.write(Scope.service(counted.tenant_id, "assistant")) as session:
            await repository.settle(session, counted.chat_id, counted.at, cost - counted.tokens)
