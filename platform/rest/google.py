"""Where Google sends a browser back to after the consent."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.booking.calendar.connections import GoogleConnections
from lead_orchestrator.errors import AppError, ForbiddenError
from lead_orchestrator.rest.pages import page

__all__ = ["GoogleCallback"]


@dataclass(frozen=True)
class GoogleCallback:
    """The signed state is the authority: it names tenant and location, works once and not for long, and only in the browser that
    asked for the consent."""

    connections: GoogleConnections
    wake: Callable[[UUID], Awaitable[None]]

    async def returned(self, request: Request) -> Response:
        """`GET /google/callback?state=…&code=…` or `…&error=…`."""
        query = request.query_params
        state = query.get("state", "")
        try:
            if not self.connections.began_here(state, request.cookies):
                raise ForbiddenError("this consent was not asked for in this browser: connect the calendar again, here")
            tenant_id, shop = await self.connections.complete(state, query.get("code"))
        except AppError as error:
            return page("Not connected", f"<p>{html.escape(error.message)}</p>", status=error.http_status)
        await self.wake(tenant_id)
        done = f'<p role="status">The calendar is kept in step with {html.escape(shop)} from now on.</p>'
        return page("Connected", f"{done}<p>You can close this page.</p>")
