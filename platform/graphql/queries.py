"""What can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql import repository, tenant_types
from lead_orchestrator.graphql.booking.queries import BOOKING_NODES, BookingQueries
from lead_orchestrator.graphql.catalog.queries import CATALOG_NODES, CatalogQueries
from lead_orchestrator.graphql.chat.queries import CHAT_NODES, ChatQueries
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import page
from lead_orchestrator.graphql.enums import LeadOrder, LeadSource, LeadStatus, Role
from lead_orchestrator.graphql.lead_types import Lead, LeadConnection, Message
from lead_orchestrator.graphql.messaging.simulation import SimulationQueries
from lead_orchestrator.graphql.messaging.templates import TemplateQueries
from lead_orchestrator.graphql.operations.queries import NODES as OPERATIONS_NODES
from lead_orchestrator.graphql.operations.queries import OperationsQueries
from lead_orchestrator.graphql.operations.tenants import administrators_node
from lead_orchestrator.graphql.permissions import finds
from lead_orchestrator.graphql.reporting.queries import ReportQueries
from lead_orchestrator.graphql.repository import LeadQuery
from lead_orchestrator.graphql.tenant_types import LOCATION_ORDER, Location, LocationConnection, Tenant, User, Viewer
from lead_orchestrator.graphql.touches.fields import TouchQueries
from lead_orchestrator.ids import Kind, decode, encode, kind_of

__all__ = ["LeadFilter", "Query"]

MOST_NODES = 100
MOST_LOCATION_IDS = 1000
LONGEST_SEARCH = 200
_SHOWN = 60


@strawberry.input
class LeadFilter:
    """What is left out or null does not narrow; an empty list matches nothing. `createdTo` itself is not included."""

    status: list[LeadStatus] | None = None
    source: list[LeadSource] | None = None
    location_ids: list[strawberry.ID] | None = None
    search: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def query(self) -> LeadQuery:
        """Raises BadInputError: an id is none, or the search is too long."""
        return LeadQuery(
            status=self.status,
            source=self.source,
            location_ids=_location_keys(self.location_ids),
            search=_search(self.search),
            created_from=self.created_from,
            created_to=self.created_to,
        )


def _location_keys(ids: Sequence[str] | None) -> list[UUID] | None:
    if ids is None:
        return None
    if len(ids) > MOST_LOCATION_IDS:
        message = f"locationIds has {len(ids)} ids: send {MOST_LOCATION_IDS} at most, or leave it out for all"
        raise BadInputError(message, field=("filter", "locationIds"))
    return [decode(Kind.LOCATION, text, field="locationIds") for text in ids]


def _search(words: str | None) -> str | None:
    if words is not None and len(words) > LONGEST_SEARCH:
        message = f"search has {len(words)} characters: send {LONGEST_SEARCH} at most"
        raise BadInputError(message, field=("search",))
    return words


@strawberry.type
class Query(
    BookingQueries,
    CatalogQueries,
    ChatQueries,
    SimulationQueries,
    TemplateQueries,
    TouchQueries,
    OperationsQueries,
    ReportQueries,
):
    @strawberry.field
    async def viewer(self, info: Request) -> Viewer | None:
        claims = info.context.claims
        named = kind_of(claims.subject) is Kind.USER
        return Viewer.of(claims, decode(Kind.USER, claims.subject) if named else None)

    @strawberry.field
    async def tenant(self, info: Request) -> Tenant | None:
        return await tenant_types.tenant(info)

    @strawberry.field
    async def locations(
        self, info: Request, first: int | None = None, after: str | None = None, search: str | None = None
    ) -> LocationConnection:
        """By name."""
        wanted = page(first, after, LOCATION_ORDER, (Kind.LOCATION,), moments=False)
        return await LocationConnection.load(info, _search(search), wanted, after)

    @strawberry.field
    async def location(
        self,
        info: Request,
        id: strawberry.ID | None = None,  # noqa: A002 - the contract's name
        slug: str | None = None,
    ) -> Location | None:
        """By its id or by its slug."""
        if (id is None) == (slug is None):
            raise BadInputError("location takes an id or a slug: give one of them", field=("id",))
        if id is not None:
            return await _location(info, decode(Kind.LOCATION, id, field="id"))
        row = await info.context.run(repository.location_by_slug, slug or "")
        return Location.of(row) if row else None

    @strawberry.field
    async def leads(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        filter: LeadFilter | None = None,  # noqa: A002 - the contract's name
        order_by: LeadOrder | None = LeadOrder.CREATED_AT_DESC,
    ) -> LeadConnection:
        order = order_by or LeadOrder.CREATED_AT_DESC
        wanted = page(first, after, order.value, (Kind.LEAD,))
        query = (filter or LeadFilter()).query()
        return await LeadConnection.load(info, query, order, wanted, after)

    @strawberry.field
    async def lead(self, info: Request, id: strawberry.ID) -> Lead | None:  # noqa: A002 - the contract's name
        return await _lead(info, decode(Kind.LEAD, id, field="id"))

    @strawberry.field
    async def node(self, info: Request, id: strawberry.ID) -> Node | None:  # noqa: A002 - the contract's name
        return await _node(info, id)

    @strawberry.field
    async def nodes(self, info: Request, ids: list[strawberry.ID]) -> list[Node | None]:
        """In the order of the ids."""
        if len(ids) > MOST_NODES:
            raise BadInputError(f"ids has {len(ids)} entries: ask for {MOST_NODES} at most", field=("ids",))
        return await asyncio.gather(*(_node(info, text) for text in ids))


async def _node(info: Request, text: str) -> Node | None:
    kind = kind_of(text)
    if kind is None:
        message = f"{text[:_SHOWN]!r} is not an id: it begins with {', '.join(f'{kind}_' for kind in Kind)}"
        raise BadInputError(message, field=("id",))
    key, claims = decode(kind, text), info.context.claims
    if not finds(claims.role, kind):
        return None
    if claims.tenant_id is None:
        return await administrators_node(info, kind, key)
    return await _NODES[kind](info, key)


async def _lead(info: Request, key: UUID) -> Lead | None:
    row = await info.context.loaders.leads.load(key)
    return Lead.of(row) if row else None


async def _location(info: Request, key: UUID) -> Location | None:
    row = await info.context.loaders.locations.load(key)
    return Location.of(row) if row else None


async def _tenant(info: Request, key: UUID) -> Tenant | None:
    return await tenant_types.tenant(info) if key == info.context.claims.tenant_id else None


async def _user(info: Request, key: UUID) -> User | None:
    """Oneself, or for a manager anybody of the franchise."""
    claims = info.context.claims
    if claims.role is Role.AGENT and claims.subject != encode(Kind.USER, key):
        return None
    row = await info.context.loaders.users.load(key)
    return User.of(row) if row else None


async def _message(info: Request, key: UUID) -> Message | None:
    row = await info.context.loaders.messages.load(key)
    return Message.of(row) if row else None


async def _inbound(info: Request, key: UUID) -> Message | None:
    row = await info.context.loaders.inbound.load(key)
    return Message.of_inbound(row) if row else None


_NODES: Mapping[Kind, Callable[[Request, UUID], Awaitable[Node | None]]] = {
    Kind.LEAD: _lead,
    Kind.LOCATION: _location,
    Kind.TENANT: _tenant,
    Kind.USER: _user,
    Kind.MESSAGE: _message,
    Kind.MESSAGE_LOG: _inbound,
    **BOOKING_NODES,
    **CATALOG_NODES,
    **CHAT_NODES,
    **OPERATIONS_NODES,
}
