"""Whose rows are meant: a whole franchise's, or those of one of its locations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import SecretBox
from tests.graphql.cross_tenant.examples import Column, Id, Made
from tests.tenancy.rows import Schema, Table

__all__ = ["TABLES", "Connection", "Side"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

TABLES: Mapping[Kind, str] = {
    Kind.TENANT: "tenants",
    Kind.LOCATION: "locations",
    Kind.USER: "users",
    Kind.LEAD: "leads",
    Kind.MESSAGE: "scheduled_messages",
    Kind.MESSAGE_LOG: "message_logs",
    Kind.WEBHOOK_EVENT: "webhook_events",
    Kind.UNROUTED_WEBHOOK: "unrouted_webhooks",
    Kind.JOB_EXECUTION: "job_executions",
    Kind.AUDIT_ENTRY: "audit_log",
    Kind.LOGIN_SESSION: "sessions",
    Kind.SERVICE: "service_catalog",
    Kind.CLOSURE: "location_closures",
    Kind.APPOINTMENT: "appointments",
    Kind.CHAT_SESSION: "chat_sessions",
    Kind.CHAT_MESSAGE: "chat_messages",
}
"""Where the rows are that an id of a kind names: a new kind is added here."""

UNROUTED = "route_key IN (SELECT shopmonkey_location_id FROM locations WHERE {})"
"""What came for a franchise's ShopMonkey locations before it had claimed them."""


@dataclass(frozen=True)
class Side:
    """Rows as a superuser reads them. Without `location_id` it is the whole franchise. `secrets` and `links` have the keys of
    the api."""

    admin: Connection
    schema: Schema
    tenant_id: UUID
    location_id: UUID | None = None
    secrets: SecretBox | None = None
    links: LinkSigner | None = None

    @property
    def key(self) -> tuple[UUID, UUID | None]:
        return self.tenant_id, self.location_id

    @property
    def whole(self) -> Side:
        return replace(self, location_id=None)

    def rows_of(self, table: Table) -> str | None:
        """The condition that picks its rows; None where none can be told to be its own."""
        if table.name == TABLES[Kind.UNROUTED_WEBHOOK]:
            return UNROUTED.format(self.rows_of(self.schema.tables["locations"]))
        if table.tenant_column is None:
            return None
        whole = f"{table.tenant_column} = '{self.tenant_id}'"
        if self.location_id is None:
            return whole
        if table.location_column is None:
            return None
        return f"{whole} AND {table.location_column} = '{self.location_id}'"

    async def ids(self, kind: Kind, where: str = "true") -> Sequence[str]:
        """The ids of its rows; of what belongs to no location, the franchise's."""
        return [f"{kind.value}_{key}" for key in await self._values(TABLES[kind], "id", where)]

    async def resolved(self, given: Any) -> Any:
        """`given` with this side's own values in it.

        Raises:
            AssertionError: there is no such row.
        """
        if isinstance(given, Mapping):
            return {name: await self.resolved(value) for name, value in given.items()}
        if isinstance(given, list):
            return [await self.resolved(value) for value in given]
        if isinstance(given, Id):
            return self._first(await self.ids(given.kind, given.where), given)
        if isinstance(given, Column):
            return self._first(await self._values(given.table, given.column, given.where), given)
        return await given.make(self) if isinstance(given, Made) else given

    def _first(self, found: Sequence[Any], given: Id | Column) -> Any:
        assert found, f"the franchise has nothing that is {given}: seed it in tests/graphql/cross_tenant/seeds.py"
        return found[0]

    async def _values(self, name: str, column: str, where: str) -> Sequence[Any]:
        table = self.schema.tables[name]
        rows = self.rows_of(table) or self.whole.rows_of(table) or "false"
        order = ", ".join(table.key)
        there = f"({where}) AND {column} IS NOT NULL"
        statement = f"SELECT to_jsonb({column}) FROM {name} WHERE {rows} AND {there} ORDER BY {order}"  # noqa: S608 - the tests' own names
        return [json.loads(row[0]) for row in await self.admin.fetch(statement)]
