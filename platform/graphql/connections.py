"""What every type and every list shares: nodes, pages, expected errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import strawberry

from lead_orchestrator.errors import AppError

__all__ = ["Node", "PageInfo", "UserError", "page_info"]

T = TypeVar("T")


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
class UserError:
    """An expected failure: `code` for programs, `message` a sentence for people, `field` the path of the input at fault."""

    code: str
    message: str
    field: list[str] | None

    @classmethod
    def of(cls, error: AppError) -> UserError:
        return cls(code=error.code, message=error.message, field=list(error.field) if error.field else None)


def page_info(cursors: Sequence[str], *, more: bool, after: str | None) -> PageInfo:
    """Of a page whose edges have these cursors; there is a previous page when it came after something."""
    return PageInfo(
        has_next_page=more,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
