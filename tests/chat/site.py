"""The api of a stack as browsers and dashboards reach it, over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from lead_orchestrator.demo.run import listen, run_api
from lead_orchestrator.graphql.documents import trusted_documents
from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.tokens import Role
from tests.chat.talk import Talk
from tests.database import TestDatabase
from tests.stack import Stack, open_stack

__all__ = ["SLUG", "START", "Site", "Visitor", "open_site", "widget"]

SLUG = "sun-shade-tint-los-angeles"
ENTERED = "session { id state channel unread } visitorToken expiresAt chatToken errors { code message field }"
START = f"mutation($i: StartChatInput!) {{ startChat(input: $i) {{ {ENTERED} }} }}"


def widget(name: str) -> str:
    """The text of a document that visitors may send."""
    [found] = [one.text for one in trusted_documents().by_hash.values() if one.name == name]
    return found


@dataclass
class Visitor:
    """Somebody in a conversation, as startChat let them in."""

    site: Site
    session_id: str
    token: str
    secret: str

    @property
    def key(self) -> UUID:
        return UUID(self.session_id.removeprefix("chat_"))

    @property
    def talk(self) -> Talk:
        """The conversation from behind."""
        return Talk(self.site.stack, self.key)

    async def ask(self, name: str, **variables: Any) -> Any:
        """A listed document's answer: its one field."""
        body = await self.site.post(widget(name), variables, self.token)
        assert "errors" not in body, body
        [field] = body["data"].values()
        return field

    async def say(self, text: str, client_id: str, session_id: str | None = None) -> dict[str, Any]:
        given = {"sessionId": session_id or self.session_id, "text": text, "clientId": client_id}
        answer: dict[str, Any] = await self.ask("WidgetSendChatMessage", input=given)
        return answer


@dataclass
class Site:
    stack: Stack
    url: str
    http: httpx.AsyncClient

    async def post(
        self, query: str, variables: dict[str, Any], token: str | None = None, **headers: str
    ) -> dict[str, Any]:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post(
            "/graphql", json={"query": query, "variables": variables}, headers={**bearer, **headers}
        )
        body: dict[str, Any] = answer.json()
        return body

    def staff(self, user: UUID | None = None, role: Role = Role.OWNER, locations: list[UUID] | None = None) -> str:
        """A token of somebody of the franchise."""
        return token_issuer(self.stack.settings).issue(
            subject=f"user_{user}" if user else "tests",
            role=role,
            tenant_id=self.stack.tenant_id,
            location_ids=locations,
        )

    async def start(self, origin: str | None = None, **given: Any) -> dict[str, Any]:
        """What startChat answers."""
        headers = {"Origin": origin} if origin else {}
        body = await self.post(START, {"i": given or {"locationSlug": SLUG}}, **headers)
        assert "errors" not in body, body
        answer: dict[str, Any] = body["data"]["startChat"]
        return answer

    async def visitor(self, **given: Any) -> Visitor:
        return self.entered(await self.start(**given))

    def entered(self, answer: dict[str, Any]) -> Visitor:
        assert answer["errors"] == [], answer
        return Visitor(self, answer["session"]["id"], answer["visitorToken"], answer["chatToken"])

    async def renew(self, secret: str) -> dict[str, Any]:
        return await self.start(chatToken=secret)

    async def code(self, phone: str) -> str:
        """The newest code that was texted to this number, once everything due is sent."""
        for _ in range(3):
            await self.stack.services.dispatcher.dispatch(self.stack.tenant_id)
        codes = [match[0] for text in self.stack.texts(phone) if (match := re.match(r"\d{6}", text))]
        return codes[-1]


@asynccontextmanager
async def open_site(database: TestDatabase, redis_url: str, **settings: Any) -> AsyncIterator[Site]:
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        limits = {"public_writes_per_minute": 10_000, **settings}
        async with (
            open_stack(database, redis_url, public_url=url, **limits) as stack,
            run_api(stack.settings, listener),
            httpx.AsyncClient(base_url=url, timeout=30) as http,
        ):
            yield Site(stack, url, http)
