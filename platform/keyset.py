"""Pages by keyset: the rows beyond a place in an order, for one list or for many lists at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, true, tuple_, values
from sqlalchemy import column as sql_column
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

__all__ = ["After", "Cut", "cut", "of_each"]

After: TypeAlias = tuple[Any, UUID] | None
"""The place of the last row seen: the value it is ordered by and its id."""


@dataclass(frozen=True)
class Cut:
    """An order, where it begins and how many rows it takes."""

    order: tuple[ColumnElement[Any], ...]
    beyond: ColumnElement[bool] | None
    limit: int

    def of(self, statement: Select[Any]) -> Select[Any]:
        """`statement`, cut like this."""
        if self.beyond is not None:
            statement = statement.where(self.beyond)
        return statement.order_by(*self.order).limit(self.limit)


def cut(by: Any, identity: Any, after: After, limit: int, *, descending: bool = True) -> Cut:
    """`limit` rows by `by` and `identity`, from `after` on; the newest first unless told."""
    order = (by.desc(), identity.desc()) if descending else (by, identity)
    if after is None:
        return Cut(order, None, limit)
    at, edge = tuple_(by, identity), tuple_(*after, types=[by.type, identity.type])
    return Cut(order, at < edge if descending else at > edge, limit)


async def of_each(
    session: AsyncSession, keys: Sequence[UUID], own: Select[Any], row: Any, column: Any, part: Cut
) -> dict[UUID, list[Any]]:
    """The rows `row` (an alias) of `own` for each key that `column` of it holds, cut alike, in one statement."""
    wanted = values(sql_column("id", Uuid()), name="wanted").data([(key,) for key in keys])
    each = part.of(own.where(column == wanted.c.id)).lateral("own")
    found = aliased(row, each)
    statement = wanted.join(each, true()).select().with_only_columns(found)
    groups: dict[UUID, list[Any]] = {}
    for entry in await session.scalars(statement):
        groups.setdefault(getattr(entry, column.key), []).append(entry)
    return groups
