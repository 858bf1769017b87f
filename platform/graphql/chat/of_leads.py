"""The conversations a lead has had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.context import Request

if TYPE_CHECKING:
    from lead_orchestrator.graphql.chat.types import ChatSessionConnection

__all__ = ["LeadChats"]


@strawberry.type
class LeadChats:
    """A part of Lead."""

    key: strawberry.Private[UUID]

    @strawberry.field
    async def chat_sessions(
        self, info: Request, first: int | None = None, after: str | None = None
    ) -> Annotated[ChatSessionConnection, strawberry.lazy("lead_orchestrator.graphql.chat.types")]:
        """The most recently active first."""
        from lead_orchestrator.graphql.chat.types import ChatSessionConnection  # noqa: PLC0415 - they know each other

        return await ChatSessionConnection.of_lead(info, self.key, first, after)
