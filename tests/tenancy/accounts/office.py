"""A franchise whose people sign in, at a running api; mails arrive in the sandbox."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from pyotp.totp import TOTP
from sqlalchemy import text

from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy.tokens import Role
from tests.database import TestDatabase
from tests.serving import bearer, serving
from tests.stack import Stack, open_stack

__all__ = ["COOKIE", "PASSWORD", "Office", "Person", "Seat", "code", "open_office"]

PASSWORD = "granite teapot outruns 7 comets"
PATIENCE = 30.0
COOKIE = "lead_refresh"
_LINK = re.compile(r"https?://\S+/auth/links/([\w-]+)")
_numbers = itertools.count(1)


@dataclass
class Seat:
    """A browser: what it was answered last, its cookie and its access token."""

    api: httpx.AsyncClient
    answer: httpx.Response | None = None
    cookie: str | None = None
    access: str = ""

    async def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Send `body` with the cookie, and keep the one that comes back."""
        sent = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        self.answer = await self.api.post(path, json=dict(body or {}), headers={**sent, **headers})
        found = re.search(rf"{COOKIE}=([^;]*)", self.answer.headers.get("set-cookie", ""))
        if found is not None:
            self.cookie = found[1].strip('"') or None
        if self.answer.is_success and self.answer.content:
            self.access = self.answer.json().get("accessToken", self.access)
        return self.answer

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    async def viewer(self) -> Any:
        """Who the access token says one is; None when it is refused."""
        query = {"query": "{ viewer { role user { id email } locations { id } } }"}
        answer = (await self.api.post("/graphql", json=query, headers=self.bearer)).json()
        return None if answer.get("errors") else answer["data"]["viewer"]


@dataclass(frozen=True)
class Person:
    """Somebody with a password; `secret` is the authenticator's, of those who have one."""

    email: str
    key: UUID
    secret: str | None = None

    @property
    def id(self) -> str:
        return f"user_{self.key}"


@dataclass(frozen=True)
class Office:
    """`opened` counts the mails that each address has read."""

    stack: Stack
    api: httpx.AsyncClient
    opened: dict[str, int] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        return self.stack.services

    def seat(self) -> Seat:
        return Seat(self.api)

    def email(self) -> str:
        return f"person{next(_numbers)}@example.com"

    async def ask(self, header: Mapping[str, str], query: str, **variables: Any) -> Any:
        """The whole answer of a GraphQL operation."""
        body = {"query": query, "variables": variables}
        return (await self.api.post("/graphql", json=body, headers=dict(header))).json()

    async def invite(self, role: Role, email: str, header: Mapping[str, str] | None = None, **fields: Any) -> Any:
        """The payload of `inviteUser`, by a caller without an account here unless told."""
        mutation = "mutation($i: InviteUserInput!) { it: inviteUser(input: $i) { user { id active } errors { code } } }"
        given = {"email": email, "role": role.value, **fields}
        answer = await self.ask(header or bearer(self.stack), mutation, i=given)
        return answer["data"]["it"] if answer.get("data") else answer

    async def link(self, email: str) -> str:
        """The token of the link that is mailed to this address next; what asks for one may still be under way."""
        async with asyncio.timeout(PATIENCE):
            while len(mails := self.mails(email)) <= self.opened.get(email, 0):
                if not await self.services.people.mails.dispatch(self.stack.tenant_id):
                    await asyncio.sleep(0.02)
        self.opened[email] = len(mails)
        found = _LINK.search(mails[-1])
        assert found is not None, mails[-1]
        return found[1]

    def mails(self, email: str) -> list[str]:
        return [mail.body for mail in self.stack.world.messages if mail.channel == "EMAIL" and mail.to == email]

    async def member(self, role: Role = Role.MANAGER, **fields: Any) -> Person:
        """Somebody who was invited and has come; an owner has a second factor as well."""
        email = self.email()
        invited = await self.invite(role, email, **fields)
        key = decode(Kind.USER, invited["user"]["id"])
        accepted = await self.seat().post(
            "/auth/accept-invite", {"token": await self.link(email), "password": PASSWORD}
        )
        assert accepted.status_code == 204, accepted.text
        secret = await self.enrolled(email) if role is Role.OWNER else None
        return Person(email, key, secret)

    async def enrolled(self, email: str) -> str:
        """Enrol the second factor that the first sign-in asks for; the authenticator's secret."""
        seat = self.seat()
        refused = await seat.post("/auth/sign-in", {"email": email, "password": PASSWORD})
        ticket = refused.json()["enrolmentToken"]
        begun = (await seat.post("/auth/second-factor/enrol", {"enrolmentToken": ticket})).json()
        confirmed = {"enrolmentToken": ticket, "code": code(begun["secret"])}
        assert (await seat.post("/auth/second-factor/confirm", confirmed)).status_code == 200
        await self.forget_codes()
        return str(begun["secret"])

    async def forget_codes(self) -> None:
        """So that nobody has to wait for the next code."""
        async with self.services.tenancy.write(self.stack.scope) as session:
            await session.execute(text("UPDATE users SET totp_last_step = NULL"))
        async with self.services.tenancy.platform() as platform:
            await platform.execute(text("UPDATE platform_users SET totp_last_step = NULL"))

    async def grow_old(self) -> None:
        """Every sign-in was refreshed last a while ago."""
        async with self.services.tenancy.write(self.stack.scope) as session:
            await session.execute(text("UPDATE sessions SET last_seen_at = last_seen_at - interval '11 seconds'"))
        older = """UPDATE platform_users SET sessions = (SELECT jsonb_object_agg(key, value
            || jsonb_build_object('lastSeenAt', (value->>'lastSeenAt')::timestamptz - interval '11 seconds'))
            FROM jsonb_each(sessions)) WHERE sessions <> '{}'"""
        async with self.services.tenancy.platform() as platform:
            await platform.execute(text(older))

    async def signed_in(self, person: Person, **headers: str) -> Seat:
        """At a browser of its own."""
        seat = self.seat()
        given = {"email": person.email, "password": PASSWORD}
        if person.secret is not None:
            given["code"] = code(person.secret)
        answer = await seat.post("/auth/sign-in", given, **headers)
        assert answer.status_code == 200, answer.text
        return seat


def code(secret: str) -> str:
    """The authenticator's code now."""
    return TOTP(secret).at(int(time.time()))


@asynccontextmanager
async def open_office(database: TestDatabase, redis_url: str, **overrides: Any) -> AsyncIterator[Office]:
    """The stack, its api, and nobody in it."""
    options = {"sign_in_attempts_per_minute": 10_000, **overrides}
    async with open_stack(database, redis_url, **options) as stack, serving(stack.settings) as api:
        yield Office(stack, api)
