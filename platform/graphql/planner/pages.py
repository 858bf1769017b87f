"""Pages of rows by a moment, the latest first, narrowed by a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement

from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.planner.declare import Arguments, Bind, Paging, Row
from lead_orchestrator.graphql.planner.expressions import beyond, encoded_cursor, moment, page_values, typed_id
from lead_orchestrator.ids import Kind

__all__ = ["Terms", "latest_first"]

Terms: TypeAlias = Mapping[str, Callable[[Row, Bind], ColumnElement[bool]]]
"""What each value of a filter asks of a row."""


def latest_first(
    order: str,
    by: str,
    kind: Kind,
    terms: Terms,
    given: Callable[[Mapping[str, Any]], object],
) -> Paging:
    """Pages by the column `by`; `given` reads the arguments into an object with the names of `terms`, None for what is not
    asked. The shape is whether the page follows another one, and the names that are given."""

    def read(arguments: Mapping[str, Any]) -> Arguments:
        page = cursors.page(arguments.get("first"), arguments.get("after"), order, (kind,))
        query = given(arguments)
        asked = {name: value for name in terms if (value := getattr(query, name)) is not None}
        return Arguments((page.after is not None, tuple(asked)), {**page_values(page), **asked})

    return Paging(
        read=read,
        order=lambda row, _shape: (row.c[by].desc(), row.c.id.desc()),
        cursor=lambda row, _shape: encoded_cursor(order, moment(row.c[by]), typed_id(kind, row)),
        after=lambda row, shape, bind: beyond(row.c[by], row.c.id, bind, descending=True) if shape[0] else None,
        starts_after=lambda shape: bool(shape[0]),
        terms=lambda row, shape, bind: [terms[name](row, bind) for name in shape[1]],
    )
