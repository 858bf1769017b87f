"""Google's push notifications: they say that a calendar changed, and nothing of what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.calendar.sync import CHANNEL
from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["GoogleCalendarWebhook"]


@dataclass(frozen=True)
class GoogleCalendarWebhook:
    """There is no signature: the channel's token is one of ours, signed, and names the location."""

    tenancy: Tenancy
    links: LinkSigner
    wake: Callable[[UUID], Awaitable[None]]

    async def pushed(self, request: Request) -> Response:
        """`POST /webhooks/google/calendar`: what comes of a channel that has ended is taken and forgotten.

        Raises:
            SignatureError: the token is none of ours.
        """
        try:
            opened = self.links.open(CHANNEL, request.headers.get("x-goog-channel-token", ""))
        except NotFoundError:
            raise SignatureError("the channel's token is none of ours") from None
        channel_id = request.headers.get("x-goog-channel-id", "")
        if request.headers.get("x-goog-resource-state") != "sync":  # that one only says that the channel is open
            async with self.tenancy.write(Scope.service(opened.tenant_id, "webhook:google")) as session:
                known = await repository.hurry(session, opened.lead_id, channel_id)
            if known:
                await self.wake(opened.tenant_id)
        return Response(status_code=204)
