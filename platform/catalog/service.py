"""What a franchise says of its services itself, and when its shops are shut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from lead_orchestrator.catalog import repository
from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, ForbiddenError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["HIGHEST_CENTS", "LAST_PLACE", "ServiceChange", "close_location", "reopen_location", "upsert_service"]

LONGEST_MINUTES = 7 * 24 * 60
HIGHEST_CENTS = 100_000_000_00
LAST_PLACE = 1_000_000  # in the display order
LONGEST = {"name": 200, "description": 5000, "category": 100, "reason": 500}
_SHOWN = 60


@dataclass(frozen=True)
class ServiceChange:
    """`id` None makes a service, for `location_id` or (None) for the whole tenant. `given` holds what else was said of
    description, category, price_cents and display_order; what is not in it stays as it is."""

    id: UUID | None
    location_id: UUID | None
    name: str
    duration_minutes: int
    active: bool = True
    given: Mapping[str, str | int | None] = field(default_factory=dict)


async def upsert_service(session: WriteSession, change: ServiceChange) -> Service:
    """Make or change a service; its duration is its own from now on.

    Raises:
        BadInputError: a value is out of range, or another service there has the name.
        NotFoundError: the caller sees no such service or location.
        ForbiddenError: it is the whole tenant's, and the caller serves some locations only.
    """
    values = _checked(change)
    await repository.lock_catalog(session)
    service = await _existing(session, change) if change.id else await _made(session, change)
    if service.shopmonkey_id is None and await repository.name_is_taken(
        session, service.location_id, str(values["name"]), change.id
    ):
        message = f"there is a service {values['name']!r} already: change that one, or choose another name"
        raise BadInputError(message, code="NAME_TAKEN", field=("name",))
    for name, value in values.items():
        setattr(service, name, value)
    await session.flush()
    target = encode(Kind.SERVICE, service.id)
    session.audit("service.changed" if change.id else "service.added", target=target, detail={"fields": sorted(values)})
    return service


async def _existing(session: WriteSession, change: ServiceChange) -> Service:
    found = await repository.service(session, change.id) if change.id else None
    if found is None:
        raise NotFoundError(f"there is no service {encode(Kind.SERVICE, change.id or UUID(int=0))}", field=("id",))
    if change.location_id not in (None, found.location_id):
        message = "a service stays at its location: make another one there"
        raise BadInputError(message, field=("locationId",))
    _check_reach(session, found.location_id)
    return found


async def _made(session: WriteSession, change: ServiceChange) -> Service:
    _check_reach(session, change.location_id)
    if change.location_id is not None:
        await _location(session, change.location_id)
    service = Service(
        tenant_id=session.scope.tenant_id,
        location_id=change.location_id,
        display_order=await repository.last_order(session, change.location_id) + 1,
    )
    repository.add(session, service)
    return service


def _check_reach(session: WriteSession, location_id: UUID | None) -> None:
    if location_id is None and session.scope.location_ids is not None:
        message = "this service is the whole franchise's, and you serve some of its locations: name a locationId"
        raise ForbiddenError(message, field=("locationId",))


async def _location(session: WriteSession, location_id: UUID) -> Location:
    location = await tenancy_repository.location(session, location_id)
    if location is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))
    return location


def _checked(change: ServiceChange) -> dict[str, str | int | bool | None]:
    values: dict[str, str | int | bool | None] = dict(change.given)
    values["name"] = _text("name", change.name)
    if values["name"] is None:
        raise BadInputError("name is empty: say what the service is called", field=("name",))
    for name in ("description", "category"):
        if name in values:
            value = values[name]
            values[name] = _text(name, value if isinstance(value, str) else None)
    _check_range("durationMinutes", change.duration_minutes, 1, LONGEST_MINUTES)
    price, order = change.given.get("price_cents"), change.given.get("display_order", 0)
    if isinstance(price, int):
        _check_range("priceCents", price, 0, HIGHEST_CENTS)
    if order is None:
        del values["display_order"]
    elif isinstance(order, int):
        _check_range("displayOrder", order, 0, LAST_PLACE)
    return {
        **values,
        "duration_minutes": change.duration_minutes,
        "duration_is_set": True,
        "switched_off": not change.active,
    }


def _check_range(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise BadInputError(f"{name} is {value}: send {lowest} to {highest}", field=(name,))


def _text(name: str, value: str | None) -> str | None:
    if value is not None and len(value) > LONGEST[name]:
        message = f"{name} has {len(value)} characters, as in {value[:_SHOWN]!r}: send {LONGEST[name]} at most"
        raise BadInputError(message, field=(name,))
    return (value or "").strip() or None


async def close_location(
    session: WriteSession, location_id: UUID, starts_at: datetime, ends_at: datetime, reason: str | None
) -> Location:
    """Shut a location for a while; what is booked in that time stays booked.

    Raises:
        BadInputError: the time ends before it begins, or is over.
        NotFoundError: the caller sees no such location.
    """
    location = await _location(session, location_id)
    if ends_at <= starts_at:
        message = f"endsAt is {ends_at.isoformat()}, which is not after startsAt {starts_at.isoformat()}"
        raise BadInputError(message, field=("endsAt",))
    if ends_at <= await app_now(session):
        raise BadInputError(f"endsAt is {ends_at.isoformat()}, which is past", code="IN_THE_PAST", field=("endsAt",))
    closure = Closure(
        tenant_id=session.scope.tenant_id,
        location_id=location_id,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=_text("reason", reason),
    )
    repository.add(session, closure)
    await session.flush()
    session.audit("closure.added", target=encode(Kind.CLOSURE, closure.id))
    return location


async def reopen_location(session: WriteSession, closure_id: UUID) -> Location:
    """Take a closure back.

    Raises:
        NotFoundError: the caller sees no such closure.
    """
    found = (await repository.closures_by_id(session, [closure_id])).get(closure_id)
    if found is None:
        raise NotFoundError(f"there is no closure {encode(Kind.CLOSURE, closure_id)}", field=("id",))
    location = await _location(session, found.location_id)
    await repository.remove(session, found)
    await session.flush()
    session.audit("closure.removed", target=encode(Kind.CLOSURE, closure_id))
    return location
