"""What every operation passes before it is read from the database: trusted documents, its cost, the caller's budget."""

from __future__ import annotations

from typing import Any, NamedTuple

from graphql import GraphQLError, GraphQLSchema

from lead_orchestrator.graphql.budgets import Budgets, Remaining
from lead_orchestrator.graphql.cost import Costs, TooComplexError
from lead_orchestrator.graphql.documents import TrustedDocuments
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Entry", "Gate"]


class Entry(NamedTuple):
    """An operation that was let in. `cost` is None where the document is wrong, `remaining` where nothing is limited."""

    cost: int | None
    remaining: Remaining | None = None

    def extensions(self) -> dict[str, Any]:
        """Of the answer."""
        if self.cost is None:
            return {}
        left = self.remaining
        reset = left.reset_at if left else None
        return {"cost": {"requested": self.cost, "remaining": left.cost if left else None, "resetAt": reset}}

    def onto(self, answer: bytes) -> bytes:
        """`answer`, a JSON object that is not empty and has no extensions, with them."""
        if self.cost is None:
            return answer
        left, reset = "null", "null"
        if self.remaining:
            left, reset = str(self.remaining.cost), f'"{self.remaining.reset_at}"'
        cost = f'{{"requested":{self.cost},"remaining":{left},"resetAt":{reset}}}'
        return answer[:-1] + f',"extensions":{{"cost":{cost}}}}}'.encode()


class Gate:
    """Lets operations in. Nothing here reads the database.

    Without `budgets` nobody is limited; with `any_document` visitors may send what is not listed.
    """

    def __init__(
        self, schema: GraphQLSchema, trusted: TrustedDocuments, budgets: Budgets | None, *, any_document: bool = False
    ) -> None:
        self._costs = Costs(schema)
        self._budgets = budgets
        self._trusted = trusted
        self._any_document = any_document

    def document(self, request: dict[str, Any], claims: Claims | None) -> dict[str, Any]:
        """`request` (query, variables, operationName, extensions) with its document's text.

        Raises:
            BadInputError: the hash of a persisted document is wrong.
            ForbiddenError: a visitor sent a document that is not listed.
        """
        visitor = claims is not None and claims.role is Role.VISITOR
        return self._trusted.resolved(request, visitor=visitor and not self._any_document)

    async def enter(self, request: dict[str, Any], claims: Claims | None) -> Entry:
        """Count and charge an operation; without `claims` (no valid token: it will be told so) it is not charged.

        Raises:
            GraphQLError, RecursionError: the document cannot be read, or is too large.
            TooComplexError: it costs more than one operation may.
            OverBudgetError: the caller's budget is spent.
        """
        try:
            cost = self._costs.of(request.get("query"), request.get("variables"), request.get("operationName"))
        except (GraphQLError, TooComplexError, RecursionError):
            await self._charge(claims, 1)  # finding out was work as well
            raise
        return Entry(cost, await self._charge(claims, cost or 1))

    async def _charge(self, claims: Claims | None, cost: int) -> Remaining | None:
        return await self._budgets.spend(claims, cost) if self._budgets and claims else None
