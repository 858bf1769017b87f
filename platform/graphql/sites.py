"""Browsers on other sites: what they are told of /graphql, and that a visitor's token is good on its shop's sites alone.

Staff is told nothing there: its pages are ours. A token is no cookie, so no site can spend one that it does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Message, Send

from lead_orchestrator.errors import AppError, RateLimitedError
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.public.limits import READ, PublicLimits
from lead_orchestrator.tenancy.public.origins import answer_headers, preflight_headers
from lead_orchestrator.tenancy.public.places import OriginRefusedError, Places
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Sites", "marked"]


class Sites:
    """`places` None: no shop is entered here, and no site is told anything."""

    def __init__(self, access: Access, places: Places | None, limits: PublicLimits | None) -> None:
        self._access = access
        self._places = places
        self._limits = limits

    async def preflight(self, origin: str | None, address: str | None) -> Response:
        """The answer to OPTIONS, which says nothing of who will call or for which shop: any shop's site is let through.

        Raises:
            RateLimitedError: too many came from this address lately.
        """
        await self._spend(address)
        allowed = self._places is not None and await self._places.known(origin)
        headers = {**preflight_headers(origin, allowed=allowed), "Allow": "POST, OPTIONS"}
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)

    async def headers(self, origin: str | None, authorization: str | None, address: str | None) -> Mapping[str, str]:
        """What the answer to a call from `origin` has. Who calls too often from nowhere we know is told nothing.

        Raises:
            OriginRefusedError: it is a visitor's, on a site that is not its shop's; nothing may be done or told.
        """
        if origin is None:
            return {}
        await self._access.prepare(authorization)
        try:
            claims = self._access.claims(authorization) if authorization else None
        except AppError:
            claims = None
        return answer_headers(origin, allowed=await self._allowed(origin, claims, address))

    async def check(self, origin: str | None, claims: Claims) -> None:
        """Raises OriginRefusedError: as `headers`."""
        if claims.role is not Role.VISITOR or origin is None or self._places is None:
            return
        shops = claims.location_ids or ()
        if not any([await self._places.shop_allows(shop, origin) for shop in shops]):
            raise OriginRefusedError(origin)

    async def _allowed(self, origin: str, claims: Claims | None, address: str | None) -> bool:
        if self._places is None:
            return False
        if claims is not None:
            await self.check(origin, claims)
            return claims.role is Role.VISITOR
        if self._places.allowed_lately(origin):
            return True
        try:
            await self._spend(address)
        except RateLimitedError:
            return False
        return await self._places.known(origin)

    async def _spend(self, address: str | None) -> None:
        if self._limits is not None:
            await self._limits.spend_by_address(address, READ)


def marked(send: Send, headers: Mapping[str, str]) -> Send:
    """`send`, with these headers on the answer that it begins."""
    more = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending if more else send
