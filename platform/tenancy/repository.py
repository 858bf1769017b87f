"""All SQL about tenants, locations, routes and their settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.tenancy.models import (
    CrmConfig,
    Location,
    LocationHours,
    MessagingConfig,
    Tenant,
    UnroutedWebhook,
    User,
)
from lead_orchestrator.tenancy.records import IdempotencyKey
from lead_orchestrator.tenancy.sessions import PlatformSession, ReadSession, WriteSession

__all__ = [
    "REAL_NOW",
    "active_user",
    "begin_onboarding",
    "claim_key",
    "claim_route",
    "drop_other_routes",
    "drop_routes",
    "first_location",
    "forget_issuer",
    "forget_keys",
    "highest_role",
    "is_active",
    "issuers",
    "location",
    "location_by_slug",
    "location_ids",
    "location_route",
    "locations_by_id",
    "lock_location",
    "lock_onboarding",
    "made_with_key",
    "mark_replayed",
    "messaging_config",
    "onboarding_of",
    "release_moved_locations",
    "replace_hours",
    "route_keys",
    "settle_key",
    "tenant",
    "tenant_by_slug",
    "tenants",
    "unrouted",
    "unrouted_by_id",
    "upsert_crm",
    "upsert_issuer",
    "upsert_location",
    "upsert_messaging",
    "upsert_tenant",
]


REAL_NOW = select(func.now())


def is_active(tenant_id: UUID) -> ColumnElement[bool]:
    """The condition of whoever takes up work: what a suspended franchise has to do waits."""
    return select(Tenant.id).where(Tenant.id == tenant_id, Tenant.status == "ACTIVE").exists()


async def tenant(session: ReadSession) -> Tenant:
    """The session's own tenant."""
    return (await session.scalars(select(Tenant).where(Tenant.id == session.scope.tenant_id))).one()


async def location(session: ReadSession, location_id: UUID) -> Location | None:
    statement = select(Location).where(Location.tenant_id == session.scope.tenant_id, Location.id == location_id)
    return await session.scalar(statement)


async def lock_location(session: WriteSession, location_id: UUID) -> Location | None:
    """As `location`, locked: two changes of one take turns."""
    statement = select(Location).where(Location.tenant_id == session.scope.tenant_id, Location.id == location_id)
    locked = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return await session.scalar(locked)


async def first_location(session: ReadSession) -> Location | None:
    """By name, of those the session sees."""
    own = select(Location).where(Location.tenant_id == session.scope.tenant_id)
    return await session.scalar(own.order_by(Location.name, Location.id).limit(1))


async def messaging_config(session: ReadSession) -> MessagingConfig | None:
    return await session.scalar(select(MessagingConfig).where(MessagingConfig.tenant_id == session.scope.tenant_id))


_LOCATIONS = select(Location).where(  # asked for with every batch of messages: written once
    Location.tenant_id == bindparam("tenant", type_=Uuid()),
    Location.id == any_(bindparam("ids", type_=ARRAY(Uuid()))),
)


async def locations_by_id(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, Location]:
    found = await session.scalars(_LOCATIONS, {"tenant": session.scope.tenant_id, "ids": list(ids)})
    return {row.id: row for row in found}


async def active_user(session: ReadSession, user_id: UUID) -> User | None:
    statement = select(User).where(User.tenant_id == session.scope.tenant_id, User.id == user_id, User.active)
    return await session.scalar(statement)


async def tenant_by_slug(session: PlatformSession, slug: str) -> Tenant | None:
    return await session.scalar(select(Tenant).where(Tenant.slug == slug))


async def tenants(session: PlatformSession) -> Sequence[tuple[Tenant, int]]:
    """Every tenant with the number of its locations, by slug."""
    count = select(func.count()).where(Location.tenant_id == Tenant.id).scalar_subquery()
    rows = await session.execute(select(Tenant, count).order_by(Tenant.slug))
    return [(tenant, number) for tenant, number in rows]


async def upsert_tenant(session: PlatformSession, slug: str, values: Mapping[str, object]) -> tuple[UUID, bool]:
    """Make or change the tenant with this slug; returns its id and whether it is new."""
    existing = await session.scalar(select(Tenant.id).where(Tenant.slug == slug).with_for_update())
    if existing is not None:
        await session.execute(update(Tenant).where(Tenant.id == existing).values(**values))
        return existing, False
    made = (await session.execute(insert(Tenant).values(slug=slug, **values).returning(Tenant.id))).scalar_one()
    await session.execute(text("INSERT INTO tenant_heads (tenant_id) VALUES (:id)"), {"id": made})
    return made, True


async def lock_onboarding(session: PlatformSession, slug: str) -> None:
    """Two onboardings of one slug take turns."""
    key = f"onboarding:{slug}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def begin_onboarding(
    session: PlatformSession, tenant_id: UUID, subject: str, key: str | None, request_hash: bytes
) -> None:
    """Write down who asked for the tenant, unless that was done before."""
    statement = text(
        "INSERT INTO onboardings (tenant_id, subject, idempotency_key, request_hash)"
        " VALUES (:tenant, :subject, :key, :hash) ON CONFLICT DO NOTHING"
    )
    await session.execute(statement, {"tenant": tenant_id, "subject": subject, "key": key, "hash": request_hash})


async def onboarding_of(session: PlatformSession, subject: str, key: str) -> tuple[UUID, bytes] | None:
    """The tenant that this subject asked for with this key, and the hash of what was asked."""
    statement = text(
        "SELECT tenant_id, request_hash FROM onboardings WHERE subject = :subject AND idempotency_key = :key"
    )
    row = (await session.execute(statement, {"subject": subject, "key": key})).one_or_none()
    return (row.tenant_id, row.request_hash) if row else None


async def location_ids(session: PlatformSession, tenant_id: UUID) -> dict[str, UUID]:
    """By slug."""
    rows = await session.execute(select(Location.slug, Location.id).where(Location.tenant_id == tenant_id))
    return {row.slug: row.id for row in rows}


async def release_moved_locations(session: PlatformSession, tenant_id: UUID, wanted: Mapping[str, str | None]) -> None:
    """Free the ShopMonkey locations that `wanted` (by slug) gives to another location of the tenant, or takes away."""
    held = Location.shopmonkey_location_id
    rows = await session.scalars(select(Location).where(Location.tenant_id == tenant_id, held.is_not(None)))
    for row in list(rows):
        key = row.shopmonkey_location_id
        moved = key in wanted.values() and wanted.get(row.slug) != key
        if moved or (row.slug in wanted and wanted[row.slug] != key):
            row.shopmonkey_location_id = None
            drop = text("DELETE FROM routes WHERE kind = 'shopmonkey_location' AND key = :key AND tenant_id = :tenant")
            await session.execute(drop, {"key": key, "tenant": tenant_id})
    await session.flush()


async def upsert_location(session: PlatformSession, tenant_id: UUID, slug: str, values: Mapping[str, object]) -> UUID:
    statement = (
        insert(Location)
        .values(tenant_id=tenant_id, slug=slug, **values)
        .on_conflict_do_update(index_elements=["tenant_id", "slug"], set_=dict(values))
        .returning(Location.id)
    )
    return (await session.execute(statement)).scalar_one()


async def replace_hours(
    session: PlatformSession | WriteSession, tenant_id: UUID, location_id: UUID, hours: Sequence[Mapping[str, object]]
) -> None:
    statement = delete(LocationHours).where(
        LocationHours.tenant_id == tenant_id, LocationHours.location_id == location_id
    )
    await session.execute(statement)
    rows = [{"tenant_id": tenant_id, "location_id": location_id, **row} for row in hours]
    if rows:
        await session.execute(insert(LocationHours).values(rows))


async def claim_route(session: PlatformSession, kind: str, key: str, tenant_id: UUID, location_id: UUID | None) -> bool:
    """Give `key` to this tenant; False if another one holds it."""
    statement = text(
        "INSERT INTO routes (kind, key, tenant_id, location_id) VALUES (:kind, :key, :tenant, :location)"
        " ON CONFLICT (kind, key) DO UPDATE SET location_id = excluded.location_id"
        " WHERE routes.tenant_id = excluded.tenant_id RETURNING true"
    )
    values = {"kind": kind, "key": key, "tenant": tenant_id, "location": location_id}
    return await session.scalar(statement, values) is not None


async def route_keys(session: PlatformSession, kind: str, tenant_id: UUID) -> Sequence[str]:
    """The keys of this kind that the tenant holds."""
    statement = text("SELECT key FROM routes WHERE kind = :kind AND tenant_id = :tenant")
    return list(await session.scalars(statement, {"kind": kind, "tenant": tenant_id}))


async def drop_other_routes(session: PlatformSession, kind: str, tenant_id: UUID, key: str) -> None:
    """Free the keys of this kind that the tenant holds beside `key`."""
    statement = text("DELETE FROM routes WHERE kind = :kind AND tenant_id = :tenant AND key <> :key")
    await session.execute(statement, {"kind": kind, "tenant": tenant_id, "key": key})


async def drop_routes(session: PlatformSession, kind: str, tenant_id: UUID) -> None:
    """Free every key of this kind that the tenant holds."""
    statement = text("DELETE FROM routes WHERE kind = :kind AND tenant_id = :tenant")
    await session.execute(statement, {"kind": kind, "tenant": tenant_id})


async def upsert_crm(session: PlatformSession, tenant_id: UUID, values: Mapping[str, object]) -> None:
    statement = insert(CrmConfig).values(tenant_id=tenant_id, **values)
    changed = {**values, "updated_at": func.now()}
    await session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=changed))


async def upsert_messaging(
    session: PlatformSession, tenant_id: UUID, values: Mapping[str, object], checked: Collection[str] = ()
) -> None:
    """Write `values`, and that the moments that are named in `checked` are now."""
    values = {**values, **dict.fromkeys(checked, func.now())}
    statement = insert(MessagingConfig).values(tenant_id=tenant_id, **values)
    accepted = dict.fromkeys(("sms_refused", "email_refused", "whatsapp_refused"))
    changed = {**values, "updated_at": func.now(), **accepted}
    await session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=changed))


async def crm_secret(session: PlatformSession, tenant_id: UUID) -> bytes | None:
    """The sealed webhook secret that is in force."""
    return await session.scalar(select(CrmConfig.webhook_secret).where(CrmConfig.tenant_id == tenant_id))


async def unrouted(session: PlatformSession, keys: Sequence[str], limit: int = 1000) -> Sequence[UnroutedWebhook]:
    """Events of these ShopMonkey locations that came before anybody had claimed them."""
    statement = (
        select(UnroutedWebhook)
        .where(UnroutedWebhook.route_key.in_(keys), UnroutedWebhook.replayed_at.is_(None))
        .order_by(UnroutedWebhook.received_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def unrouted_by_id(session: PlatformSession, key: UUID) -> UnroutedWebhook | None:
    own = select(UnroutedWebhook).where(UnroutedWebhook.id == key).execution_options(populate_existing=True)
    return await session.scalar(own)


async def location_route(session: PlatformSession, key: str) -> tuple[UUID, UUID] | None:
    """The tenant and the location that have claimed a ShopMonkey location."""
    statement = text(
        "SELECT tenant_id, location_id FROM routes WHERE kind = 'shopmonkey_location' AND key = :key"
        " AND location_id IS NOT NULL"
    )
    row = (await session.execute(statement, {"key": key})).one_or_none()
    return (row.tenant_id, row.location_id) if row else None


async def mark_replayed(session: PlatformSession, ids: Sequence[UUID]) -> None:
    statement = update(UnroutedWebhook).where(UnroutedWebhook.id.in_(ids)).values(replayed_at=func.now())
    await session.execute(statement)


async def highest_role(session: ReadSession, issuer: str, audience: str) -> str | None:
    """What the franchise takes this outside issuer's tokens for, if it takes them."""
    statement = text(
        "SELECT highest_role FROM external_issuers WHERE tenant_id = :tenant AND issuer = :issuer AND audience = :audience"
    )
    values = {"tenant": session.scope.tenant_id, "issuer": issuer, "audience": audience}
    role: str | None = await session.scalar(statement, values)
    return role


async def upsert_issuer(session: PlatformSession, tenant_id: UUID, issuer: str, audience: str, role: str) -> None:
    statement = text(
        "INSERT INTO external_issuers (tenant_id, issuer, audience, highest_role) VALUES (:tenant, :issuer, :audience, :role)"
        " ON CONFLICT (tenant_id, issuer, audience) DO UPDATE SET highest_role = excluded.highest_role"
    )
    await session.execute(statement, {"tenant": tenant_id, "issuer": issuer, "audience": audience, "role": role})


async def forget_issuer(session: PlatformSession, tenant_id: UUID, issuer: str, audience: str) -> bool:
    """Whether there was such a row."""
    statement = text(
        "DELETE FROM external_issuers WHERE tenant_id = :tenant AND issuer = :issuer AND audience = :audience RETURNING true"
    )
    return bool(await session.scalar(statement, {"tenant": tenant_id, "issuer": issuer, "audience": audience}))


async def issuers(session: PlatformSession) -> Sequence[tuple[str, str, str, str]]:
    """Slug, issuer, audience and highest role of every row."""
    statement = text(
        "SELECT t.slug, e.issuer, e.audience, e.highest_role FROM external_issuers e JOIN tenants t ON t.id = e.tenant_id"
        " ORDER BY t.slug, e.issuer, e.audience"
    )
    return [tuple(row) for row in await session.execute(statement)]


async def location_by_slug(session: ReadSession, slug: str) -> Location | None:
    statement = select(Location).where(Location.tenant_id == session.scope.tenant_id, Location.slug == slug)
    return await session.scalar(statement)


async def claim_key(session: WriteSession, subject: str, operation: str, key: str, request_hash: bytes) -> UUID | None:
    """Write the key down, and answer its row; None if it stands there already. Who is second waits for the first."""
    row = {"subject": subject, "operation": operation, "key": key, "request_hash": request_hash}
    statement = (
        insert(IdempotencyKey)
        .values(tenant_id=session.scope.tenant_id, **row)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.id)
    )
    return await session.scalar(statement)


async def settle_key(session: WriteSession, row_id: UUID, result_id: UUID) -> None:
    """Note what the request of this row made."""
    statement = (
        update(IdempotencyKey)
        .where(IdempotencyKey.tenant_id == session.scope.tenant_id, IdempotencyKey.id == row_id)
        .values(result_id=result_id)
    )
    await session.execute(statement.execution_options(synchronize_session=False))


async def forget_keys(session: WriteSession, older_than: timedelta) -> None:
    """Delete the keys that were brought more than `older_than` ago."""
    statement = delete(IdempotencyKey).where(
        IdempotencyKey.tenant_id == session.scope.tenant_id, IdempotencyKey.created_at < func.now() - older_than
    )
    await session.execute(statement.execution_options(synchronize_session=False))


async def made_with_key(session: WriteSession, subject: str, operation: str, key: str) -> tuple[bytes, UUID | None]:
    """The hash of the request that brought the key, and what it made."""
    statement = select(IdempotencyKey.request_hash, IdempotencyKey.result_id).where(
        IdempotencyKey.tenant_id == session.scope.tenant_id,
        IdempotencyKey.subject == subject,
        IdempotencyKey.operation == operation,
        IdempotencyKey.key == key,
    )
    request_hash, result_id = (await session.execute(statement)).one()
    return request_hash, result_id
