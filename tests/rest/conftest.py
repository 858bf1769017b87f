from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from lead_orchestrator.graphql.documents import visitors_documents
from lead_orchestrator.rest.chat_page import ChatPage
from lead_orchestrator.rest.links import CustomerLinks
from tests.database import Cluster, TestDatabase
from tests.stack import Stack, open_stack

Browser = httpx.AsyncClient


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url) as stack:
        yield stack


@pytest_asyncio.fixture
async def browser(stack: Stack) -> AsyncIterator[Browser]:
    links = CustomerLinks(stack.services.tenancy, stack.services.leads, stack.services.links)
    chat = ChatPage(stack.services.tenancy, stack.services.links, visitors_documents())
    routes = [
        Route("/c/{token}", chat.show, methods=["GET"]),
        Route("/chat/{name}", chat.file, methods=["GET"]),
        Route("/u/{token}", links.unsubscribe_page, methods=["GET"]),
        Route("/u/{token}", links.unsubscribe, methods=["POST"]),
        Route("/u/{token}/choices", links.unsubscribe_page, methods=["GET"]),
        Route("/u/{token}/choices", links.choose, methods=["POST"]),
    ]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as browser:
        yield browser
