"""The page behind the link in a customer's mails: what the customer wants to receive."""

from __future__ import annotations

import html
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.leads.service import Leads, locked_person
from lead_orchestrator.rest.page_texts import TEXTS
from lead_orchestrator.rest.pages import form_fields, language, page
from lead_orchestrator.rest.preferences import Preferences, apply_choice, offered, preferences_form
from lead_orchestrator.tenancy.links import LinkSigner, OpenedLink
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["CustomerLinks"]


@dataclass(frozen=True)
class CustomerLinks:
    """Every link is signed; what it names is the only thing its page shows or changes.

    The token is the authority, so no cookie is set or read and nothing can be forged from another site.
    """

    tenancy: Tenancy
    leads: Leads
    links: LinkSigner

    async def unsubscribe_page(self, request: Request) -> Response:
        """`GET /u/{token}`: asks; mail scanners follow links, so nothing changes here."""
        opened = self._open("unsubscribe", request)
        preferences = await self._preferences(opened) if opened else None
        if preferences is None:
            return _ended(request)
        return _asking(request, preferences)

    async def unsubscribe(self, request: Request) -> Response:
        """`POST /u/{token}`: one click of a person or of a mail program (RFC 8058); twice is as good as once.

        Needs no cookie and no body, and is never redirected.
        """
        opened = self._open("unsubscribe", request)
        if opened is None or not await self._opt_out(opened):
            return _ended(request)
        preferences = await self._preferences(opened)
        if preferences is None:
            return _ended(request)
        texts = TEXTS[language(request)]
        done = f'<p role="status">{html.escape(texts["no_mails"].format(shop=preferences.shop))}</p>'
        body = done + preferences_form(preferences, language(request), _choices(request))
        return page(texts["unsubscribed"], body, language=language(request))

    async def choose(self, request: Request) -> Response:
        """`POST /u/{token}/choices`: what the person wants to receive from now on."""
        opened = self._open("unsubscribe", request)
        if opened is None:
            return _ended(request)
        try:
            fields = await form_fields(request)
        except BadInputError:
            return _ended(request, status=413)
        wanted = {channel for channel in Channel if channel.value in fields.get("channel", [])}
        if "all" in fields.get("stop", []):
            wanted = set()
        ip = request.client.host if request.client else None
        async with self.tenancy.write(Scope.service(opened.tenant_id, "preferences")) as session:
            try:
                lead = await locked_person(session, opened.lead_id)
            except NotFoundError:
                return _ended(request)
            await apply_choice(session, self.leads, lead, wanted, language=language(request), ip=ip)
        preferences = await self._preferences(opened)
        return _saved(request, preferences) if preferences else _ended(request)

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

    async def _preferences(self, opened: OpenedLink) -> Preferences | None:
        async with self.tenancy.read(Scope.service(opened.tenant_id, "customer link")) as session:
            lead = await leads_repository.get(session, opened.lead_id)
            return await offered(session, lead) if lead else None


def _choices(request: Request) -> str:
    return f"/u/{request.path_params['token']}/choices"


def _asking(request: Request, preferences: Preferences) -> Response:
    chosen = language(request)
    texts = TEXTS[chosen]
    form = preferences_form(preferences, chosen, _choices(request))
    if Channel.EMAIL not in preferences.receiving:
        return page(texts["choose"].format(shop=preferences.shop), form, language=chosen)
    ask = (
        f"<p>{html.escape(texts['no_mails'].format(shop=preferences.shop))}</p>"
        f'<form method="post"><button>{html.escape(texts["unsubscribe_button"])}</button></form>'
    )
    more = f"<section><h2>{html.escape(texts['choose_more'])}</h2>{form}</section>"
    return page(texts["unsubscribe"], ask + more, language=chosen)


def _saved(request: Request, preferences: Preferences) -> Response:
    chosen = language(request)
    texts = TEXTS[chosen]
    said = texts["saved" if preferences.receiving else "stopped_all"]
    body = f'<p role="status">{html.escape(said)}</p>' + preferences_form(preferences, chosen, _choices(request))
    return page(texts["choose"].format(shop=preferences.shop), body, language=chosen)


def _ended(request: Request, *, status: int = 404) -> Response:
    texts = TEXTS[language(request)]
    return page(texts["ended"], f"<p>{texts['newest']}</p>", language=language(request), status=status)
