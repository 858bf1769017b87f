"""What every type and every list shares: nodes, pages, expected errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Self, TypeAlias, TypeVar

import strawberry

from lead_orchestrator.errors import AppError

__all__ = ["Connection", "Count", "Edge", "Node", "PageInfo", "UserError"]

T = TypeVar("T")

Count: TypeAlias = Callable[[], Awaitable[int]]
"""Counts the whole list, when somebody asks."""


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    """A page of a list. Each list has a class of its own, `class LeadConnection(Connection[Lead])`, whose docstring has its order."""

    edges: list[Edge[T]]
    page_info: PageInfo
    count: strawberry.Private[Count]

    @classmethod
    def page(cls, found: Iterable[tuple[str, T]], first: int, after: object, count: Count) -> Self:
        """Of nodes with their cursors, one more than `first` where others follow; it is `after` a cursor, or (None) the first."""
        edges = [Edge(cursor=cursor, node=node) for cursor, node in found]
        shown = edges[:first]
        ends = PageInfo(
            has_next_page=len(edges) > first,
            has_previous_page=after is not None,
            start_cursor=shown[0].cursor if shown else None,
            end_cursor=shown[-1].cursor if shown else None,
        )
        return cls(edges=shown, page_info=ends, count=count)

    def turned(self) -> Self:
        """The other way round: of a page that was read from its end."""
        read, edges = self.page_info, self.edges[::-1]
        ends = PageInfo(
            has_next_page=read.has_previous_page,
            has_previous_page=read.has_next_page,
            start_cursor=read.end_cursor,
            end_cursor=read.start_cursor,
        )
        return type(self)(edges=edges, page_info=ends, count=self.count)

    @strawberry.field
    async def total_count(self) -> int:
        return await self.count()


@strawberry.type
class UserError:
    """An expected failure: `code` for programs, `message` a sentence for people, `field` the path of the input at fault."""

    code: str
    message: str
    field: list[str] | None

    @classmethod
    def of(cls, error: AppError) -> UserError:
        return cls(code=error.code, message=error.message, field=list(error.field) if error.field else None)
