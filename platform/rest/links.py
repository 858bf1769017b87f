"""The pages behind the links in a customer's messages: how to reach the shop, and how to end the mails."""

from __future__ import annotations

import html
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.leads.service import Leads, locked_person
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.links import LinkSigner, OpenedLink
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["CustomerLinks"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title><style>
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.2rem; color: #1c2330 }}
h1 {{ font-size: 1.6rem; line-height: 1.25 }} a, button {{ color: #0b57d0 }}
button {{ font: inherit; color: #fff; background: #0b57d0; border: 0; border-radius: .5rem; padding: .7rem 1.2rem; cursor: pointer }}
button:focus-visible, a:focus-visible {{ outline: 3px solid #ffb300; outline-offset: 2px }}
@media (prefers-color-scheme: dark) {{ body {{ background: #12161d; color: #e6eaf0 }} a {{ color: #8ab4f8 }} }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the token in the address goes nowhere else
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}


@dataclass(frozen=True)
class CustomerLinks:
    """Every link is signed; what it names is the only thing its page shows or changes."""

    tenancy: Tenancy
    leads: Leads
    links: LinkSigner

    async def chat(self, request: Request) -> Response:
        """`GET /c/{token}`: whom the message came from and how to answer it."""
        opened = self._open("chat", request)
        location = await self._shop(opened) if opened else None
        if location is None:
            return _ended()
        name = html.escape(location.name)
        call = (
            f'<p>Or call <a href="tel:{html.escape(location.phone)}">{html.escape(location.phone)}</a>.</p>'
            if location.phone
            else ""
        )
        where = f"<p>{html.escape(location.address)}</p>" if location.address else ""
        return _page(
            f"{name} is glad to help", f"<p>Just answer the message you received: {name} reads it.</p>{call}{where}"
        )

    async def unsubscribe_page(self, request: Request) -> Response:
        """`GET /u/{token}`: asks; mail scanners follow links, so nothing changes here."""
        if self._open("unsubscribe", request) is None:
            return _ended()
        form = '<form method="post"><p>You will get no more e-mails about your quote.</p><button>Unsubscribe</button></form>'
        return _page("Unsubscribe from these e-mails?", form)

    async def unsubscribe(self, request: Request) -> Response:
        """`POST /u/{token}`: one click of a person or of a mail program (RFC 8058); twice is as good as once."""
        opened = self._open("unsubscribe", request)
        if opened is None or not await self._opt_out(opened):
            return _ended()
        return _page("You are unsubscribed", "<p>You will get no more e-mails about your quote.</p>")

    def _open(self, purpose: str, request: Request) -> OpenedLink | None:
        try:
            return self.links.open(purpose, request.path_params["token"])
        except NotFoundError:
            return None

    async def _opt_out(self, opened: OpenedLink) -> bool:
        async with self.tenancy.write(Scope.service(opened.tenant_id, "unsubscribe")) as session:
            try:
                lead = await locked_person(session, opened.lead_id)
            except NotFoundError:
                return False
            await self.leads.opt_out(session, lead, [Channel.EMAIL], "Unsubscribed by the link in an e-mail")
            return True

    async def _shop(self, opened: OpenedLink) -> Location | None:
        async with self.tenancy.read(Scope.service(opened.tenant_id, "customer link")) as session:
            lead = await leads_repository.get(session, opened.lead_id)
            return await repository.location(session, lead.location_id) if lead else None


def _ended() -> Response:
    return _page("This link has ended", "<p>Please use the newest message you received from us.</p>", status=404)


def _page(title: str, body: str, *, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=title, body=body), status_code=status, headers=_HEADERS)
