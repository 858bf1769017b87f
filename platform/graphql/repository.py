"""All SQL that exists only to answer the API. Postgres's policies narrow every statement to what the caller may see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Uuid,
    and_,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    values,
)
from sqlalchemy import column as sql_column
from sqlalchemy import types as sql_types
from sqlalchemy.orm import InstrumentedAttribute, aliased

from lead_orchestrator.graphql.cursors import Key, Page
from lead_orchestrator.leads.models import Consent, Lead, LeadEvent, MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import Location, LocationHours, User
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = [
    "LeadQuery",
    "consents_of",
    "count_leads",
    "count_locations",
    "event_counts",
    "events_of",
    "hours_of",
    "inbound_by_id",
    "inbound_of",
    "is_indexable",
    "last_attempts",
    "leads_by_id",
    "leads_page",
    "location_by_slug",
    "locations_page",
    "looked_up",
    "message_counts",
    "messages_by_id",
    "messages_of",
    "next_touches",
    "phone_digits",
    "users_by_id",
    "visible_locations",
]


@dataclass(frozen=True)
class LeadQuery:
    """Which leads; None does not narrow, an empty list is nobody. `created_from` is included, `created_to` is not."""

    status: Sequence[str] | None = None
    source: Sequence[str] | None = None
    location_ids: Sequence[UUID] | None = None
    search: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


LEAD_ORDERS: dict[str, tuple[InstrumentedAttribute[datetime], bool]] = {
    "CREATED_AT_DESC": (Lead.created_at, True),
    "CREATED_AT_ASC": (Lead.created_at, False),
    "LAST_ACTIVITY_DESC": (Lead.last_activity_at, True),
}


async def leads_page(session: ReadSession, query: LeadQuery, order: str, page: Page) -> Sequence[Lead]:
    """One row more than the page has, if there is one."""
    by, descending = LEAD_ORDERS[order]
    statement = select(Lead).where(*_lead_terms(session, query))
    rows = _keyset(statement, by, Lead.id, page, descending=descending)
    return list(await session.scalars(rows))


async def count_leads(session: ReadSession, query: LeadQuery) -> int:
    statement = select(func.count()).select_from(Lead).where(*_lead_terms(session, query))
    return int(await session.scalar(statement) or 0)


async def leads_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, Lead]:
    statement = select(Lead).where(Lead.tenant_id == session.scope.tenant_id, Lead.id.in_(ids))
    return {lead.id: lead for lead in await session.scalars(statement)}


async def locations_page(session: ReadSession, search: str | None, page: Page) -> Sequence[Location]:
    """By name; one row more than the page has, if there is one."""
    statement = select(Location).where(*_location_terms(session, search))
    return list(await session.scalars(_keyset(statement, Location.name, Location.id, page, descending=False)))


async def count_locations(session: ReadSession, search: str | None) -> int:
    statement = select(func.count()).select_from(Location).where(*_location_terms(session, search))
    return int(await session.scalar(statement) or 0)


async def visible_locations(session: ReadSession, ids: Sequence[UUID] | None, limit: int) -> Sequence[Location]:
    """The locations this session sees, those of `ids` only unless that is None; by name."""
    statement = select(Location).where(Location.tenant_id == session.scope.tenant_id)
    if ids is not None:
        statement = statement.where(Location.id.in_(ids))
    return list(await session.scalars(statement.order_by(Location.name, Location.id).limit(limit)))


async def location_by_slug(session: ReadSession, slug: str) -> Location | None:
    return await session.scalar(
        select(Location).where(Location.tenant_id == session.scope.tenant_id, Location.slug == slug)
    )


async def hours_of(session: ReadSession, location_ids: Sequence[UUID]) -> Mapping[UUID, list[LocationHours]]:
    statement = (
        select(LocationHours)
        .where(LocationHours.tenant_id == session.scope.tenant_id, LocationHours.location_id.in_(location_ids))
        .order_by(LocationHours.day_of_week, LocationHours.opens_at)
    )
    return _grouped(await session.scalars(statement), "location_id")


async def users_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, User]:
    statement = select(User).where(User.tenant_id == session.scope.tenant_id, User.id.in_(ids))
    return {user.id: user for user in await session.scalars(statement)}


async def next_touches(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, ScheduledMessage]:
    """The touch that is planned for each of these leads."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id.in_(lead_ids),
            ScheduledMessage.kind == MessageKind.TOUCH,
            ScheduledMessage.status == MessageStatus.SCHEDULED,
        )
        .order_by(ScheduledMessage.due_at.desc())
    )
    return {touch.lead_id: touch for touch in await session.scalars(statement)}


async def consents_of(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, list[Consent]]:
    """The newest first."""
    statement = (
        select(Consent)
        .where(Consent.tenant_id == session.scope.tenant_id, Consent.lead_id.in_(lead_ids))
        .order_by(Consent.at.desc(), Consent.id.desc())
    )
    return _grouped(await session.scalars(statement), "lead_id")


async def messages_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, ScheduledMessage]:
    statement = select(ScheduledMessage).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id.in_(ids)
    )
    return {message.id: message for message in await session.scalars(statement)}


async def inbound_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, MessageLog]:
    statement = select(MessageLog).where(_inbound(session), MessageLog.id.in_(ids))
    return {row.id: row for row in await session.scalars(statement)}


async def messages_of(
    session: ReadSession, lead_ids: Sequence[UUID], page: Page
) -> Mapping[UUID, list[ScheduledMessage]]:
    """Of each lead the newest up to one row more than the page has."""
    row = aliased(ScheduledMessage)
    own = select(row).where(row.tenant_id == session.scope.tenant_id)
    return await _of_each(session, lead_ids, own, row, _keyset_of(row.created_at, row.id, page))


async def inbound_of(session: ReadSession, lead_ids: Sequence[UUID], page: Page) -> Mapping[UUID, list[MessageLog]]:
    """Of each lead the newest up to one row more than the page has."""
    row = aliased(MessageLog)
    own = select(row).where(row.tenant_id == session.scope.tenant_id, row.message_id.is_(None))
    return await _of_each(session, lead_ids, own, row, _keyset_of(row.at, row.id, page))


async def events_of(
    session: ReadSession, lead_ids: Sequence[UUID], first: int, before: int | None
) -> Mapping[UUID, list[LeadEvent]]:
    """Of each lead the newest events older than position `before`, up to one more than `first`."""
    row = aliased(LeadEvent)
    own = select(row).where(row.tenant_id == session.scope.tenant_id)
    if before is not None:
        own = own.where(row.position < before)
    return await _of_each(session, lead_ids, own, row, _Cut((row.position.desc(),), None, first + 1))


async def message_counts(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many messages each lead was and is to be sent, and sent itself."""
    sent = _counted(ScheduledMessage.lead_id, lead_ids).where(ScheduledMessage.tenant_id == session.scope.tenant_id)
    got = _counted(MessageLog.lead_id, lead_ids).where(_inbound(session))
    both = sent.union_all(got).subquery()
    rows = await session.execute(select(both.c.lead_id, func.sum(both.c.number)).group_by(both.c.lead_id))
    return {lead_id: int(number) for lead_id, number in rows}


async def event_counts(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    statement = _counted(LeadEvent.lead_id, lead_ids).where(LeadEvent.tenant_id == session.scope.tenant_id)
    return {lead_id: int(number) for lead_id, number in await session.execute(statement)}


async def last_attempts(session: ReadSession, message_ids: Sequence[UUID]) -> Mapping[UUID, MessageLog]:
    statement = (
        select(MessageLog)
        .where(MessageLog.tenant_id == session.scope.tenant_id, MessageLog.message_id.in_(message_ids))
        .order_by(MessageLog.attempt)
    )
    return {row.message_id: row for row in await session.scalars(statement) if row.message_id is not None}


def _lead_terms(session: ReadSession, query: LeadQuery) -> Iterable[ColumnElement[bool]]:
    yield Lead.tenant_id == session.scope.tenant_id
    if query.status is not None:
        yield Lead.status.in_(query.status)
    if query.source is not None:
        yield Lead.source.in_(query.source)
    if query.location_ids is not None:
        yield Lead.location_id.in_(query.location_ids)
    if query.created_from is not None:
        yield Lead.created_at >= query.created_from
    if query.created_to is not None:
        yield Lead.created_at < query.created_to
    if query.search and query.search.strip():
        words = query.search.strip()
        if is_indexable(words):
            yield Lead.id == any_(looked_up(literal(session.scope.tenant_id), words, phone_digits(words)))
        yield _lead_search(words)


def is_indexable(words: str) -> bool:
    """Whether trigrams narrow a search for `words`: it takes three letters or digits in a row."""
    return re.search(r"[^\W_]{3}", words) is not None


def phone_digits(words: str) -> str | None:
    """The digits of what may be a part of a phone number."""
    digits = "".join(char for char in words if char.isdecimal())
    return digits if len(digits) >= FEWEST_DIGITS and set(words) <= PHONE_CHARACTERS else None


def looked_up(tenant: Any, words: Any, digits: Any) -> ColumnElement[Any]:
    """The leads in the caller's scope that may be meant, by the index; looked up once, before the leads are read."""
    return cast(select(func.lookup_leads(tenant, words, digits)).scalar_subquery(), ARRAY(Uuid()))


FEWEST_DIGITS = 3
PHONE_CHARACTERS = frozenset("0123456789 +-().")


def _lead_search(words: str) -> ColumnElement[bool]:
    name = func.concat_ws(" ", Lead.first_name, Lead.last_name)
    found = [name.icontains(words, autoescape=True), Lead.email.icontains(words, autoescape=True)]
    if digits := phone_digits(words):
        found.append(Lead.phone.contains(digits, autoescape=True))
    return or_(*found)


def _location_terms(session: ReadSession, search: str | None) -> Iterable[ColumnElement[bool]]:
    yield Location.tenant_id == session.scope.tenant_id
    if search and search.strip():
        columns = (Location.name, Location.slug, Location.address)
        yield or_(*(column.icontains(search.strip(), autoescape=True) for column in columns))


def _inbound(session: ReadSession) -> ColumnElement[bool]:
    return and_(MessageLog.tenant_id == session.scope.tenant_id, MessageLog.message_id.is_(None))


@dataclass(frozen=True)
class _Cut:
    """An order, where it begins and how many rows it takes."""

    order: tuple[ColumnElement[Any], ...]
    after: ColumnElement[bool] | None
    limit: int


def _keyset(
    statement: Select[Any], by: InstrumentedAttribute[Any], identity: Any, page: Page, *, descending: bool
) -> Select[Any]:
    cut = _keyset_of(by, identity, page, descending=descending)
    if cut.after is not None:
        statement = statement.where(cut.after)
    return statement.order_by(*cut.order).limit(cut.limit)


def _keyset_of(by: Any, identity: Any, page: Page, *, descending: bool = True) -> _Cut:
    order = (by.desc(), identity.desc()) if descending else (by, identity)
    return _Cut(order, _beyond(by, identity, page.after, descending=descending), page.first + 1)


def _beyond(by: Any, identity: Any, key: Key | None, *, descending: bool) -> ColumnElement[bool] | None:
    if key is None:
        return None
    at = tuple_(by, identity)
    edge = tuple_(key.value, key.id, types=[by.type, identity.type])
    return at < edge if descending else at > edge


async def _of_each(
    session: ReadSession, lead_ids: Sequence[UUID], own: Select[Any], row: Any, cut: _Cut
) -> dict[UUID, list[Any]]:
    """The rows of each lead, cut alike, in one statement."""
    wanted = values(sql_column("id", sql_types.Uuid()), name="wanted").data([(lead_id,) for lead_id in lead_ids])
    own = own.where(row.lead_id == wanted.c.id)
    if cut.after is not None:
        own = own.where(cut.after)
    each = own.order_by(*cut.order).limit(cut.limit).lateral("own")
    found = aliased(row, each)
    return _grouped(await session.scalars(select(found).select_from(wanted).join(each, true())), "lead_id")


def _counted(column: InstrumentedAttribute[UUID], lead_ids: Sequence[UUID]) -> Select[UUID, int]:
    return select(column, func.count().label("number")).where(column.in_(lead_ids)).group_by(column)


def _grouped(rows: Iterable[Any], by: str) -> dict[UUID, list[Any]]:
    groups: dict[UUID, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, by), []).append(row)
    return groups
