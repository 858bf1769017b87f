"""What a mutation answers with: the row that it changed, or what was wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["answer"]

R = TypeVar("R")
P = TypeVar("P")


async def answer(
    info: Request,
    work: Callable[[WriteSession], Awaitable[R]],
    payload: Callable[[R | None, list[UserError]], P],
    *,
    visitors: bool = False,
    before: Callable[[], Awaitable[None]] | None = None,
) -> P:
    """`payload` of the row that `work` returns; of none and the error where what was asked cannot be, and nothing was done.

    `visitors` do it too, in a service's session. `before` is what is asked of others first: never while this operation has a
    transaction open.
    """
    context = info.context
    try:
        if before is not None and not context.wrote:
            await before()
        async with context.changing() if visitors else context.writing() as session:
            row = await work(session)
    except AppError as error:
        return payload(None, [UserError.of(error)])
    return payload(row, [])
