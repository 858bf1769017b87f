"""Signing in: an access token for the caller's memory in the answer, the refresh token in a cookie that no script reads.

The cookie never goes along with a request from another site; a request that says that it comes from one is refused besides. Under
https it is a `__Host-` one, which no neighbouring host and nobody on the line can set in its place; a browser takes such a one for
all paths only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError, ForbiddenError, UnauthenticatedError
from lead_orchestrator.ids import Kind, decode, encode, kind_of
from lead_orchestrator.log import get_logger
from lead_orchestrator.rest.admission import caller
from lead_orchestrator.rest.bodies import needed_text, optional_text, text_fields
from lead_orchestrator.services import People
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.accounts.limits import SignInLimits
from lead_orchestrator.tenancy.accounts.models import Caller, Named, SignedIn
from lead_orchestrator.tenancy.accounts.service import EnrolmentNeededError, address_of
from lead_orchestrator.tenancy.permissions import SIGNED_IN, admit

__all__ = ["COOKIE", "SECURE_COOKIE", "AccountEndpoints"]

_log = get_logger(__name__)

COOKIE = "lead_refresh"
SECURE_COOKIE = f"__Host-{COOKIE}"
COOKIE_PATH = "/auth"
COOKIE_AGE = 90 * 24 * 3600
LONGEST_PASSWORD = 1_000
_UNSEEN = {"Cache-Control": "no-store"}
_ASKED = "if somebody has an account with this address, a link to a new password is on its way"


@dataclass(frozen=True)
class AccountEndpoints:
    """`wake(tenant_id)` is called after a link was written that is to be mailed."""

    people: People
    access: Access
    limits: SignInLimits
    public_url: str
    wake: Callable[[UUID], Awaitable[None]]

    def routes(self) -> list[BaseRoute]:
        posts = {
            "/auth/accept-invite": self.accept_invite,
            "/auth/refresh": self.refresh,
            "/auth/reset": self.reset,
            "/auth/second-factor/confirm": self.confirm,
            "/auth/second-factor/enrol": self.enrol,
            "/auth/sign-in": self.sign_in,
            "/auth/sign-out": self.sign_out,
            "/auth/sign-out-everywhere": self.sign_out_everywhere,
        }
        return [Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()]

    async def sign_in(self, request: Request) -> Response:
        """200 with the access token; 401 whatever is wrong, 403 with an `enrolmentToken` before the second factor is enrolled."""
        self._from_here(request)
        fields = await text_fields(request, ("email", "password", "code", "tenant"))
        try:
            signed = await self.people.accounts.sign_in(
                needed_text(fields, "email"),
                needed_text(fields, "password", LONGEST_PASSWORD),
                franchise=optional_text(fields, "tenant", 63),
                code=optional_text(fields, "code", 40),
                caller=_caller(request),
                limits=self.limits,
            )
        except EnrolmentNeededError as error:
            body = {
                "error": {"code": error.code, "message": error.message, "field": None},
                "enrolmentToken": error.ticket,
            }
            return JSONResponse(body, status_code=error.http_status, headers=_UNSEEN)
        return self._signed_in(signed)

    async def refresh(self, request: Request) -> Response:
        """200 with the next access token, and the next cookie; 401 ends the sign-in."""
        self._from_here(request)
        try:
            return self._signed_in(await self.people.accounts.refresh(self._cookie(request)))
        except UnauthenticatedError as error:
            body = {"error": {"code": error.code, "message": error.message, "field": None}}
            return self._without_cookie(JSONResponse(body, status_code=error.http_status, headers=_UNSEEN))

    async def sign_out(self, request: Request) -> Response:
        """204, signed in or not."""
        self._from_here(request)
        await self.people.accounts.sign_out(self._cookie(request))
        return self._without_cookie(Response(status_code=204))

    async def sign_out_everywhere(self, request: Request) -> Response:
        """204: every sign-in of the caller has ended, and within a second every access token."""
        claims = caller(request)
        if kind_of(claims.subject) is not Kind.USER:
            raise BadInputError("this token is no account's: there is nothing to sign out of")
        await self.people.accounts.sign_out_everywhere(claims, decode(Kind.USER, claims.subject))
        return self._without_cookie(Response(status_code=204))

    async def reset(self, request: Request) -> Response:
        """With `email`: 202, whoever has that address or not. With the `token` of a link and a `password`: 204, and it is set."""
        self._from_here(request)
        fields = await text_fields(request, ("email", "tenant", "token", "password"))
        if "token" in fields:
            return await self._redeem(request, fields)
        address, franchise = address_of(needed_text(fields, "email")), optional_text(fields, "tenant", 63)
        await self.limits.spend(f"reset {address}", _address(request))
        work = BackgroundTask(self._forgot, address, franchise)  # what it takes shows in no answer
        return JSONResponse({"message": _ASKED}, status_code=202, headers=_UNSEEN, background=work)

    async def accept_invite(self, request: Request) -> Response:
        """204: the password is set, and one may sign in with it."""
        self._from_here(request)
        return await self._redeem(request, await text_fields(request, ("token", "password", "name")))

    async def enrol(self, request: Request) -> Response:
        """200 with the secret and the address for a QR code, for an access token or an `enrolmentToken`."""
        named = await self._enrolling(request, await text_fields(request, ("enrolmentToken",)))
        begun = await self.people.accounts.begin_enrolment(named)
        return JSONResponse({"secret": begun.secret, "uri": begun.uri}, headers=_UNSEEN)

    async def confirm(self, request: Request) -> Response:
        """200 as for a sign-in, with the recovery codes."""
        self._from_here(request)
        fields = await text_fields(request, ("enrolmentToken", "code"))
        named, code = await self._enrolling(request, fields), needed_text(fields, "code", 40)
        confirm = self.people.accounts.confirm_enrolment
        return self._signed_in(await confirm(named, code, _caller(request), limits=self.limits))

    async def _redeem(self, request: Request, fields: Mapping[str, str]) -> Response:
        token, password = needed_text(fields, "token", 400), needed_text(fields, "password", LONGEST_PASSWORD)
        await self.limits.spend(f"link {token}", _address(request))
        await self.people.links.redeem(token, password, optional_text(fields, "name", 200))
        return Response(status_code=204)

    async def _forgot(self, address: str, franchise: str | None) -> None:
        try:
            tenant_id = await self.people.links.forgot(address, franchise)
        except Exception as error:  # noqa: BLE001 - the answer is out; who waits in vain asks again
            _log.warning("reset_failed", reason=type(error).__name__)
            return
        if tenant_id is not None:
            await self.wake(tenant_id)

    async def _enrolling(self, request: Request, fields: Mapping[str, str]) -> Named:
        ticket = optional_text(fields, "enrolmentToken", 400)
        if ticket is not None:
            return await self.people.accounts.enrolling(ticket)
        claims = self.access.claims(request.headers.get("authorization"))
        admit(claims, SIGNED_IN)
        return Named(claims.tenant_id, decode(Kind.USER, claims.subject))

    def _from_here(self, request: Request) -> None:
        """Raises ForbiddenError: a browser says that another site asks."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
        here = urlsplit(self.public_url)
        if (origin is not None and origin != f"{here.scheme}://{here.netloc}") or site == "cross-site":
            raise ForbiddenError("one signs in on this site alone, not from another one")

    def _signed_in(self, signed: SignedIn) -> Response:
        body: dict[str, Any] = {
            "accessToken": signed.access_token,
            "tokenType": "Bearer",
            "expiresIn": signed.expires_in,
            "role": signed.role.value,
            "userId": encode(Kind.USER, signed.user_id),
            "tenantId": encode(Kind.TENANT, signed.tenant_id) if signed.tenant_id else None,
            **({"recoveryCodes": list(signed.recovery_codes)} if signed.recovery_codes else {}),
        }
        response = JSONResponse(body, headers=_UNSEEN)
        self._set_cookie(response, signed.refresh_token, COOKIE_AGE)
        return response

    def _without_cookie(self, response: Response) -> Response:
        self._set_cookie(response, "", 0)
        return response

    @property
    def _is_secure(self) -> bool:
        """Production has no other; by http, as in the demo, a browser would keep no such cookie."""
        return self.public_url.startswith("https://")

    def _cookie(self, request: Request) -> str | None:
        return request.cookies.get(SECURE_COOKIE if self._is_secure else COOKIE)

    def _set_cookie(self, response: Response, value: str, age: int) -> None:
        name, path = (SECURE_COOKIE, "/") if self._is_secure else (COOKIE, COOKIE_PATH)
        response.set_cookie(
            name, value, max_age=age, path=path, secure=self._is_secure, httponly=True, samesite="strict"
        )


def _caller(request: Request) -> Caller:
    return Caller(request.headers.get("user-agent"), _address(request))


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None
