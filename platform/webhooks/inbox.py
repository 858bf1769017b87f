"""What the messaging webhooks share: find the tenant, store what was told, ring the worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import JSONResponse, Response

from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound.models import Told
from lead_orchestrator.messaging.inbound.service import keep
from lead_orchestrator.tenancy.lookups import Lookups, Route
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.repository import messaging_config
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["Inbox", "Wake", "stored"]

_log = get_logger(__name__)

LONGEST_KEY = 200

Wake = Callable[[UUID, UUID], Awaitable[None]]
Check = Callable[[MessagingConfig | None], None]
"""Raises SignatureError unless the tenant's own account sent the request."""


@dataclass(frozen=True)
class Inbox:
    """`wake(tenant_id, event_id)` rings the worker after the commit; a bell that is not heard loses nothing."""

    tenancy: Tenancy
    lookups: Lookups
    wake: Wake

    async def route(self, kind: str, key: str) -> Route | None:
        usable = 0 < len(key) <= LONGEST_KEY and key.isprintable()
        return await self.lookups.route(kind, key) if usable else None

    async def keep(
        self, tenant_id: UUID, location_id: UUID | None, source: str, told: Iterable[Told], check: Check | None = None
    ) -> int:
        """Store what is new of it, if `check` finds nothing wrong; returns how much that is."""
        async with self.tenancy.write(Scope.service(tenant_id, f"webhook:{source}")) as session:
            if check is not None:
                check(await messaging_config(session))
            new = await keep(session, location_id, told)
        for event_id in new:
            await self.wake(tenant_id, event_id)
        return len(new)

    def unrouted(self, source: str) -> None:
        """Nobody's number: nothing is kept of whoever wrote to it."""
        _log.info("webhook_unrouted", source=source)


def stored(new: int) -> Response:
    """200 whatever was new: a provider repeats what is not answered so."""
    return JSONResponse({"result": "received", "new": new})
