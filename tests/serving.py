"""The api of a test's stack on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import httpx

from lead_orchestrator.demo.run import listen, run_api
from lead_orchestrator.services import token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.tokens import Role
from tests.http import open_http
from tests.stack import Stack

__all__ = ["bearer", "serving"]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose base URL is the running api."""
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with run_api(settings, listener), open_http(url, timeout=10) as client:
            yield client


def bearer(stack: Stack, role: Role = Role.OWNER, *, location_ids: Collection[UUID] | None = None) -> dict[str, str]:
    """The header of a token of the stack's tenant, for all locations unless told."""
    issuer = token_issuer(stack.settings)
    token = issuer.issue(subject="tests", role=role, tenant_id=stack.tenant_id, location_ids=location_ids)
    return {"Authorization": f"Bearer {token}"}
