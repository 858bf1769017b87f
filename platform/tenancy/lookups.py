"""What must be known before a tenant is: answered by functions that return ids and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Lookups", "Revocation", "Route"]


@dataclass(frozen=True)
class Route:
    tenant_id: UUID
    location_id: UUID | None
    active: bool


@dataclass(frozen=True)
class Revocation:
    """`kind` is session, user, tenant_suspended or tenant_active; `generation` the smallest one still valid of a user;
    an administrator of the platform has no tenant."""

    kind: str
    tenant_id: UUID | None
    id: UUID
    generation: int | None


class Lookups:
    """Runs as lead_app without a tenant: every table is empty to it, only the functions answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def route(self, kind: str, key: str) -> Route | None:
        """The tenant that `key` belongs to: a ShopMonkey location id, a phone number, a public slug …"""
        statement = "SELECT * FROM lookup_route(:kind, :key)"
        async with self._engine.connect() as connection:
            row = (await connection.execute(text(statement), {"kind": kind, "key": key})).one_or_none()
        return Route(row.tenant_id, row.location_id, row.active) if row else None

    async def place(self, location_id: UUID) -> Route | None:
        """Whose location this is, if it has a public slug."""
        statement = text("SELECT * FROM lookup_place(:location)").bindparams(bindparam("location", type_=Uuid()))
        async with self._engine.connect() as connection:
            row = (await connection.execute(statement, {"location": location_id})).one_or_none()
        return Route(row.tenant_id, location_id, row.active) if row else None

    async def origin(self, origin: str) -> bool:
        """Whether any location of an active tenant lists this site."""
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(text("SELECT lookup_origin(:origin)"), {"origin": origin}))

    async def tenant(self, slug: str) -> UUID | None:
        """The tenant with this slug."""
        async with self._engine.connect() as connection:
            tenant: UUID | None = await connection.scalar(text("SELECT lookup_tenant(:slug)"), {"slug": slug})
        return tenant

    async def login(self, address: str, franchise: str | None) -> tuple[UUID, UUID] | None:
        """The franchise and the user of an address, of the franchise with this slug or the oldest account there is."""
        statement = text("SELECT * FROM lookup_login(:address, :franchise)").bindparams(
            bindparam("franchise", type_=Text())
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(statement, {"address": address, "franchise": franchise})).one_or_none()
        return (row.tenant_id, row.user_id) if row else None

    async def issuer(self, issuer: str, audience: str) -> Sequence[UUID]:
        """The franchises that take this issuer's tokens for this audience."""
        statement = text("SELECT * FROM lookup_issuer(:issuer, :audience)")
        async with self._engine.connect() as connection:
            return list(await connection.scalars(statement, {"issuer": issuer, "audience": audience}))

    async def due_account_mails(self) -> Sequence[UUID]:
        """Active tenants with an invitation, or a link to a new password, that is to be mailed."""
        return await self._ids("lookup_due_account_mails()")

    async def tenants(self) -> Sequence[UUID]:
        return await self._ids("lookup_tenants()")

    async def due_messages(self, after: UUID | None = None, most: int = 1_000) -> Sequence[UUID]:
        """The first active tenants, in the order of their ids, with a message that is due on the product's clock.

        What it costs depends on how many are asked for, not on how many messages wait.
        """
        statement = text("SELECT * FROM lookup_due_messages(:after, :most)").bindparams(
            bindparam("after", type_=Uuid()), bindparam("most", type_=Integer())
        )
        async with self._engine.connect() as connection:
            return list(await connection.scalars(statement, {"after": after, "most": most}))

    async def open_messages(self) -> Sequence[UUID]:
        """Tenants with a message whose lease ran out: its sender died, or nobody knows whether it went out."""
        return await self._ids("lookup_open_messages()")

    async def due_events(self) -> Sequence[UUID]:
        """Tenants with a stored webhook event that waits to be processed."""
        return await self._ids("lookup_due_events()")

    async def due_outbox(self) -> Sequence[UUID]:
        """Active tenants with an appointment of which another system has to be told."""
        return await self._ids("lookup_due_outbox()")

    async def due_calendars(self) -> Sequence[UUID]:
        """Active tenants with a Google calendar that is to be read."""
        return await self._ids("lookup_due_calendars()")

    async def due_polls(self) -> Sequence[UUID]:
        """Active tenants whose ShopMonkey account is to be polled, the longest waiting first."""
        return await self._ids("lookup_due_polls()")

    async def next_due(self) -> datetime | None:
        """When the next message of any tenant falls due."""
        async with self._engine.connect() as connection:
            due: datetime | None = await connection.scalar(text("SELECT lookup_next_due()"))
        return due

    async def due_lag(self) -> float:
        """Seconds by which the oldest due message is late."""
        async with self._engine.connect() as connection:
            return float(await connection.scalar(text("SELECT lookup_due_lag()")) or 0)

    async def revoked(self, since: datetime) -> Sequence[Revocation]:
        """What was revoked at or after `since`."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(text("SELECT * FROM lookup_revoked(:since)"), {"since": since})
            return [Revocation(row.kind, row.tenant_id, row.id, row.generation) for row in rows]

    async def heads(self, tenant_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """The position of the newest event of each of these tenants."""
        statement = text("SELECT * FROM lookup_heads(:tenants)").bindparams(bindparam("tenants", type_=ARRAY(Uuid())))
        async with self._engine.connect() as connection:
            rows = await connection.execute(statement, {"tenants": list(tenant_ids)})
            return {row.tenant_id: row.position for row in rows}

    async def chat_heads(self, chats: Sequence[tuple[UUID, UUID]]) -> Mapping[UUID, int]:
        """The version of each of these conversations, given as (tenant, conversation)."""
        uuids = ARRAY(Uuid())
        statement = text("SELECT * FROM lookup_chat_heads(:tenants, :sessions)").bindparams(
            bindparam("tenants", type_=uuids), bindparam("sessions", type_=uuids)
        )
        values = {"tenants": [tenant for tenant, _ in chats], "sessions": [chat for _, chat in chats]}
        async with self._engine.connect() as connection:
            return {row.session_id: row.version for row in await connection.execute(statement, values)}

    async def due_answers(self) -> Sequence[UUID]:
        """Active tenants with a conversation in which the assistant is to answer."""
        return await self._ids("lookup_due_answers()")

    async def record_unrouted(self, source: str, key: str, external_id: str, operation: str) -> bool:
        """Keep an event whose location nobody has claimed yet; False when its location or the whole table is full."""
        statement = text("SELECT record_unrouted(:source, :key, :external_id, :operation)")
        values = {"source": source, "key": key, "external_id": external_id, "operation": operation}
        async with self._engine.begin() as connection:
            return bool(await connection.scalar(statement, values))

    async def _ids(self, function: str) -> Sequence[UUID]:
        async with self._engine.connect() as connection:
            return list(await connection.scalars(text(f"SELECT * FROM {function}")))  # noqa: S608 - names of ours only
