"""The API over a database of its own, answering both ways, and everybody who may and may not call it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import graphql
from redis.asyncio import Redis

from lead_orchestrator.app import RequestLog, graphql_services
from lead_orchestrator.chat.live import Live
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.events.sockets import open_sockets
from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.graphql.schema import core_schema
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.services import AUDIENCE, Services, open_services, token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import Role, TokenIssuer, TokenVerifier
from tests.database import TestDatabase
from tests.graphql.cross_tenant.canaries import Canaries, collect
from tests.graphql.cross_tenant.seeds import Franchise, Seed
from tests.graphql.cross_tenant.sides import Connection, Side
from tests.graphql.server import Api, serve
from tests.http import open_http
from tests.tenancy.rows import Schema, read_schema

__all__ = ["Arena", "Caller", "open_arena"]

Fault = Callable[[GraphQLServices], GraphQLServices]
GENERATION = 1
"""That of users who have just come, and of whom nothing was revoked."""
_strangers = itertools.count()


@dataclass(frozen=True)
class Caller:
    """Who asks. `victim` are the rows that are none of its business, `secrets` what of them it must not be told."""

    name: str
    token: Callable[[], str | None]
    own: Side
    victim: Side
    secrets: Canaries
    administers: bool = False


@dataclass(frozen=True)
class Arena:
    """`planned` answers queries of staff by plans, `plain` all by resolvers; sockets are at `address`. `settings` are those of an
    api over the same database."""

    seed: Seed
    settings: Settings
    services: Services
    admin: Connection
    schema: Schema
    issuer: TokenIssuer
    planned: Api
    plain: Api
    address: str
    core: graphql.GraphQLSchema

    def side(self, franchise: Franchise, location: UUID | None = None) -> Side:
        services = self.services
        return Side(self.admin, self.schema, franchise.tenant.id, location, services.secrets, services.links)

    def token(self, franchise: Franchise | None, role: Role, *held: UUID, **named: Any) -> str:
        """Of this franchise's user with the role; without `held` of all its locations."""
        subject = f"user_{franchise.users[role.value]}" if franchise and role.value in franchise.users else "somebody"
        return self.issuer.issue(
            subject=named.pop("subject", subject),
            role=role,
            tenant_id=franchise.tenant.id if franchise else None,
            location_ids=held or None,
            lifetime=timedelta(hours=2),
            generation=GENERATION,
            **named,
        )

    async def secrets(self, side: Side) -> Canaries:
        """What stands in rows of `side` only."""
        known = self.seed.secrets
        if side.key not in known:
            known[side.key] = await collect(side, self.words)
        return Canaries(dict(known[side.key].values))

    async def rightful(self) -> Mapping[Role, str]:
        """Tokens of those who are one of them the right one for each operation on our hidden location."""
        ours = self.seed.ours
        visitor = await self._visitor(ours, self.side(ours, ours.hidden))
        return {
            Role.OWNER: self.token(ours, Role.OWNER),
            Role.PLATFORM_ADMIN: self.token(None, Role.PLATFORM_ADMIN),
            Role.VISITOR: visitor(),
        }

    async def strangers(self) -> Sequence[Caller]:
        """Everybody who must not see or change anything of our franchise."""
        ours, theirs = self.seed.ours, self.seed.theirs
        own, victim = self.side(theirs), self.side(ours)
        secrets = await self.secrets(victim)
        hidden = await collect(victim, self.words, await self._kept_from_administrators())
        claiming = {"lead_id": await self._key("leads", victim), "session_id": await self._key("chat_sessions", victim)}

        def of(name: str, token: Callable[[], str | None]) -> Caller:
            return Caller(name, token, own, victim, secrets)

        owner, manager = self.token(theirs, Role.OWNER), self.token(theirs, Role.MANAGER)
        agent = self.token(theirs, Role.AGENT, theirs.seen)
        claims_ours = self.token(theirs, Role.AGENT, ours.seen, ours.hidden)
        administrator = self.token(None, Role.PLATFORM_ADMIN)
        return [
            of("another's owner", lambda: owner),
            of("another's manager", lambda: manager),
            of("another's agent of one location", lambda: agent),
            of("another's agent with our locations", lambda: claims_ours),
            of("another's visitor", await self._visitor(theirs, self.side(theirs, theirs.seen))),
            of("another's visitor with our lead", lambda: self._visitors_token(theirs, theirs.seen, claiming)),
            of("nobody", lambda: None),
            Caller("administrator", lambda: administrator, own, victim, hidden, administers=True),
        ]

    async def colleagues(self) -> Sequence[Caller]:
        """Those of our franchise who must not see or change anything of its hidden location."""
        ours = self.seed.ours
        own, victim = self.side(ours, ours.seen), self.side(ours, ours.hidden)
        secrets = await self.secrets(victim)
        agent, manager = (self.token(ours, role, ours.seen) for role in (Role.AGENT, Role.MANAGER))
        visitor = await self._visitor(ours, own)
        return [
            Caller("agent of one location", lambda: agent, own, victim, secrets),
            Caller("manager of one location", lambda: manager, own, victim, secrets),
            Caller("visitor of one location", visitor, own, victim, secrets),
        ]

    @property
    def words(self) -> frozenset[str]:
        """What the schema itself says."""
        words: set[str] = set()
        for name, kind in self.core.type_map.items():
            words.add(name)
            words.update(getattr(kind, "fields", None) or getattr(kind, "values", None) or ())
        return frozenset(words)

    async def _visitor(self, franchise: Franchise, side: Side) -> Callable[[], str]:
        held = {"lead_id": await self._key("leads", side), "session_id": await self._key("chat_sessions", side)}
        place = side.location_id or franchise.seen
        return lambda: self._visitors_token(franchise, place, held)

    def _visitors_token(self, franchise: Franchise, place: UUID, held: Mapping[str, UUID]) -> str:
        return self.token(franchise, Role.VISITOR, place, subject=f"visitor-{next(_strangers)}", **held)

    async def _key(self, table: str, side: Side) -> UUID:
        rows = side.rows_of(side.schema.tables[table])
        found: UUID = await self.admin.fetchval(f"SELECT id FROM {table} WHERE {rows} ORDER BY id LIMIT 1")  # noqa: S608 - the tests' own names
        return found

    async def _kept_from_administrators(self) -> Callable[[str, str], bool]:
        granted = await self.admin.fetch(
            "SELECT table_name::text, column_name::text FROM information_schema.column_privileges"
            " WHERE grantee = 'lead_platform' AND privilege_type = 'SELECT'"
        )
        open_to_them = {tuple(row) for row in granted}
        return lambda table, column: (table, column) not in open_to_them


@asynccontextmanager
async def open_arena(
    database: TestDatabase, seed: Seed, *, fault: Fault = lambda services: services
) -> AsyncIterator[Arena]:
    """The API over `database`, a clone of the seed's; `fault` may spoil what it works with."""
    urls = database.urls
    settings = seed.settings.model_copy(
        update={
            "database_url": urls.app,
            "database_visitor_url": urls.visitor,
            "database_platform_url": urls.platform,
            "public_reads_per_minute": 1_000_000,  # an attack is to be refused, not put off
            "public_writes_per_minute": 1_000_000,
            "sign_in_attempts_per_minute": 10_000,
        }
    )
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        issuer, revocations = token_issuer(settings), RevocationList()
        verifier = TokenVerifier([issuer.public_key_pem], settings.public_url, AUDIENCE, revocations=revocations)
        queue = await open_queue(str(settings.redis_url))
        stack.push_async_callback(queue.redis.aclose, close_connection_pool=True)
        bell = Bell(queue.redis)
        stack.push_async_callback(bell.close)
        services.tenancy.on_events = bell.ring
        live = Live(queue.redis)
        stack.push_async_callback(live.close)
        services.tenancy.on_chats = live.moved
        wired = graphql_services(services, queue, Access(verifier, revocations), live=live)
        whole = fault(replace(wired, budgets=None, any_document=True, development=False))
        redis = Redis.from_url(str(settings.redis_url))
        stack.push_async_callback(redis.aclose)
        lookups = services.lookups
        opening = open_sockets(whole, lookups.heads, redis, chat_heads=lookups.chat_heads)
        sockets = await stack.enter_async_context(opening)
        clients = []
        for served in (whole, replace(whole, reader=None)):
            address = await stack.enter_async_context(serve(RequestLog(create_graphql_app(served, sockets))))
            http = await stack.enter_async_context(open_http(address, timeout=30))
            clients.append(Api(http, issuer, []))
        admin = await asyncpg.connect(database.admin_url)
        stack.push_async_callback(admin.close)
        schema = await read_schema(admin)
        planned, plain = clients
        at = str(planned.http.base_url)
        yield Arena(seed, settings, services, admin, schema, issuer, planned, plain, at.rstrip("/"), core_schema())
