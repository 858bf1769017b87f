"""The page behind an invitation, and behind a link to a new password: one field, and a word when it is done."""

from __future__ import annotations

import html
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import AppError, BadInputError, NotFoundError
from lead_orchestrator.rest.pages import form_fields, page
from lead_orchestrator.tenancy.accounts.limits import SignInLimits
from lead_orchestrator.tenancy.accounts.links import PATH, AccountLinks, Opened
from lead_orchestrator.tenancy.accounts.models import LinkKind
from lead_orchestrator.tenancy.accounts.passwords import LONGEST, SHORTEST

__all__ = ["AccountPages"]

_TITLES = {LinkKind.INVITATION: "Welcome to {franchise}", LinkKind.RESET: "A new password for {franchise}"}


@dataclass(frozen=True)
class AccountPages:
    """The link is the authority: no cookie is set or read."""

    links: AccountLinks
    limits: SignInLimits

    def routes(self) -> list[BaseRoute]:
        path = f"{PATH}/{{token}}"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.change, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Asks; mail scanners follow links, so nothing changes here."""
        try:
            return _form(await self.links.open(request.path_params["token"]))
        except NotFoundError as error:
            return _told("This link has ended", error.message, status=404)

    async def change(self, request: Request) -> Response:
        """Sets the password, or says why it will not do."""
        token = request.path_params["token"]
        try:
            await self.limits.spend(f"link {token}", request.client.host if request.client else None)
            fields = await form_fields(request)
            opened = await self.links.open(token)
            name = fields.get("name", [""])[0] or None
            try:
                await self.links.redeem(token, fields.get("password", [""])[0], name)
            except BadInputError as error:
                return _form(opened, error.message, status=400)
        except NotFoundError as error:
            return _told("This link has ended", error.message, status=404)
        except AppError as error:
            return _told("Not now", error.message, status=error.http_status)
        return _told("Your password is set", f"You can sign in at {opened.franchise} as {opened.email} now.")


def _form(opened: Opened, problem: str | None = None, *, status: int = 200) -> Response:
    name = (
        '<p><label for="name">Your name</label><br><input id="name" name="name" autocomplete="name" maxlength="200"></p>'
        if opened.kind is LinkKind.INVITATION
        else ""
    )
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    body = (
        f"{told}<p>For {html.escape(opened.email)}.</p>"
        f'<form method="post">{name}<p><label for="password">Password, {SHORTEST} characters at least</label><br>'
        f'<input id="password" name="password" type="password" autocomplete="new-password" required'
        f' minlength="{SHORTEST}" maxlength="{LONGEST}"></p><button>Set password</button></form>'
    )
    return page(_TITLES[opened.kind].format(franchise=opened.franchise), body, status=status)


def _told(title: str, message: str, *, status: int = 200) -> Response:
    return page(title, f'<p role="status">{html.escape(message)}</p>', status=status)
