"""Two franchises with something in every table, every text of the one unlike every text of the other."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import asyncpg

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE, DemoFranchise
from lead_orchestrator.services import Services, open_services
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.models import LocationHours, User
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_DAYS
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead
from tests.graphql.cross_tenant.canaries import Canaries
from tests.graphql.cross_tenant.sides import Connection, Side
from tests.graphql.operations.rows import make_event, make_inbound, make_job, make_message, make_unrouted
from tests.graphql.shop import seed_shop
from tests.stack import franchise_file
from tests.tenancy.rows import Row, Schema, Table, World, make_row, read_schema

__all__ = ["Franchise", "Seed", "seeded"]

LEADS = 8
PROSE = {
    *("address", "body", "cancel_reason", "category", "description", "error", "name", "notes", "outcome", "reason"),
    *("subject", "text", "title", "wording"),
}
"""Columns whose texts are replaced by canaries, in every table that has them."""
MEANT = {"password_hash", "sms_refused", "email_refused", "time_zone", "timezone"}
"""Columns that mean something to the product, and so stay empty where they are."""


@dataclass(frozen=True)
class Franchise:
    """`seen` and `hidden` are its first two locations; `users` by role."""

    tenant: MadeTenant
    users: dict[str, UUID]

    @property
    def seen(self) -> UUID:
        return self.tenant.locations[0]

    @property
    def hidden(self) -> UUID:
        return self.tenant.locations[1]


@dataclass(frozen=True)
class Seed:
    """A database with nobody connected to it, to be cloned; `settings` are those its secrets were written with."""

    database: TestDatabase
    settings: Settings
    ours: Franchise
    theirs: Franchise
    secrets: dict[tuple[UUID, UUID | None], Canaries] = field(default_factory=dict)
    """By side, as far as they were collected: every clone has the same."""


async def seeded(database: TestDatabase, settings: Settings) -> Seed:
    """Fill `database`; the outside world behind `settings` is the sandbox's."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        schema = await read_schema(admin)
        async with open_services(settings) as services:
            ours = await _franchise(services, SUN_SHADE)
            theirs = await _franchise(services, CLEAR_VIEW)
        for franchise in (ours, theirs):
            for location in (franchise.seen, franchise.hidden):
                await _fill(admin, schema, Side(admin, schema, franchise.tenant.id, location))
        await _mark(admin, schema)
    finally:
        await admin.close()
    return Seed(database, settings, ours, theirs)


async def _franchise(services: Services, known: DemoFranchise) -> Franchise:
    made = await services.onboarding.onboard(parse_franchise(franchise_file(known)), actor="tests")
    tenant = MadeTenant(
        made.tenant_id,
        known.name,
        list(made.location_ids.values()),
        [shop.id for shop in known.locations],
        known.shopmonkey_webhook_secret,
        Scope.service(made.tenant_id, "tests"),
    )
    franchise = Franchise(tenant, await _users(services, tenant))
    leads = [await _lead(services, tenant, number) for number in range(LEADS)]
    async with services.tenancy.write(tenant.scope) as session:
        await seed_shop(session, tenant, leads)
        for place in (None, tenant.locations[1]):
            for number, day in enumerate(DEFAULT_DAYS, 1):
                written = {"number": number, "day": day, "channel": "SMS", "body": "Hi"}
                session.add(TouchTemplate(tenant_id=tenant.id, location_id=place, **written))
    await _operations(services, tenant, leads)
    return franchise


async def _lead(services: Services, tenant: MadeTenant, number: int) -> Lead:
    told = {"vehicle": {"year": "2021", "make": _canary(), "model": _canary()}, "survey": {"glass": _canary()}}
    names = {"first_name": _canary(), "last_name": _canary(), "postal_code": secrets.token_hex(4)}
    return await make_lead(
        services.tenancy, services.secrets, tenant, location=tenant.locations[number % 2], **names, **told
    )


async def _users(services: Services, tenant: MadeTenant) -> dict[str, UUID]:
    made = {}
    async with services.tenancy.write(tenant.scope) as session:
        for role in ("OWNER", "MANAGER", "AGENT"):
            email = f"{_canary()}@example.com"
            held = list(tenant.locations[1:2]) if role == "AGENT" else None
            user = User(tenant_id=tenant.id, email=email, name="", role=role, location_ids=held)
            session.add(user)
            await session.flush()
            made[role] = user.id
    return made


async def _operations(services: Services, tenant: MadeTenant, leads: Sequence[Lead]) -> None:
    tenancy = services.tenancy
    for lead in leads[:4]:
        for status in ("SENT", "FAILED", "UNKNOWN", "SCHEDULED"):
            await make_message(tenancy, tenant, lead, status=status, body="Hello")
        await make_inbound(tenancy, tenant, lead, body="Hi")
        for status in ("FAILED", "IGNORED", "RECEIVED"):
            await make_event(tenancy, tenant, status, location_id=lead.location_id)
        await make_job(tenancy, tenant, error="it broke")
    for shop in tenant.shopmonkey_locations[:2]:
        await make_unrouted(tenancy, shop)
    async with tenancy.write(tenant.scope) as session:
        always = [
            LocationHours(tenant_id=tenant.id, location_id=place, day_of_week=day, opens_at=time(), closes_at=time())
            for place in tenant.locations
            for day in range(7)
        ]
        session.add_all(always)
        paused = leads[-2:]
        for lead in paused:
            await services.leads.pause(session, await session.merge(lead), "Paused by tests")
        for number, lead in enumerate(leads):
            session.record(
                "appointment.booked", location_id=lead.location_id, lead_id=lead.id, detail={"number": number}
            )
            session.audit("lead.looked_at", target=f"lead_{lead.id}")


def _canary() -> str:
    return f"canary-{secrets.token_hex(6)}"


async def _fill(admin: Connection, schema: Schema, side: Side) -> None:
    """A row in every table that has none of this side."""
    world = World()
    for table in schema.tables.values():
        rows = side.rows_of(table) or side.whole.rows_of(table)
        first = f"SELECT to_jsonb(t) FROM {table.name} t WHERE {rows} ORDER BY {', '.join(table.key)} LIMIT 1"  # noqa: S608 - the catalog's names
        found = await admin.fetchval(first) if rows else None
        if found is not None:
            world.rows[table.name] = _columns(table, json.loads(found))
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    for name, table in schema.tables.items():
        if name not in world.rows and table.tenant_column is not None:
            fixed = {"expires_at": soon} if "expires_at" in table.types else {}
            world.rows[name] = await make_row(admin, schema, world, name, fixed=fixed)


def _columns(table: Table, row: Row) -> Row:
    return {name: value for name, value in row.items() if name in table.types}


async def _mark(admin: Connection, schema: Schema) -> None:
    """Every free text becomes a canary: prose that is there, and whatever may be empty and is; no trigger keeps it out."""
    await admin.execute("SET session_replication_role = 'replica'")
    for table in schema.tables.values():
        checked = " ".join(table.checks)
        joined = {column for key in table.foreign_keys for column in key.columns}
        for column, kind in table.types.items():
            free = kind == "text" and column not in MEANT | joined and table.tenant_column is not None
            empty = "" if column in PROSE else f"WHERE {column} IS NULL"
            if free and column not in checked and (column in PROSE or column in table.nullable):
                await _replace(admin, table.name, column, empty)
    await admin.execute("RESET session_replication_role")


async def _replace(admin: Connection, table: str, column: str, where: str) -> None:
    made = f"'canary-{table}_{column}_' || left(md5(random()::text), 8)"
    await admin.execute(f"UPDATE {table} SET {column} = {made} {where}")  # noqa: S608 - the catalog's names
