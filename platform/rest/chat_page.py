"""The page behind the link of a text message: a conversation with the shop.

The shell is rendered here and shows how to reach the shop without a script; one script of ours makes it a chat. Looking at the page
changes nothing: a conversation begins when the script asks for one with the link's token.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.rest.chat_texts import CHAT_TEXTS
from lead_orchestrator.rest.page_texts import TEXTS
from lead_orchestrator.rest.pages import HEADERS, language, page
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["ChatPage"]

_FILES = Path(__file__).with_name("chat")
_KINDS = {"chat.js": "text/javascript", "chat.css": "text/css"}
_SHELL = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<meta name="robots" content="noindex, nofollow"><meta name="color-scheme" content="light dark">
<title>{title}</title><link rel="stylesheet" href="/chat/chat.css"><script src="/chat/chat.js" defer></script></head>
<body><main data-token="{token}" data-texts="{texts}" data-documents="{documents}">
<header><h1>{title}</h1>{ways}</header>
<div class="talk" tabindex="0" role="region" aria-label="{conversation}"><p class="empty">{welcome}</p><div role="log"></div>
<p class="typing" hidden>{typing}</p></div>
<noscript><p class="empty">{answer}</p></noscript>
<p role="status"></p>
<form hidden><label class="hidden-label" for="text">{write}</label>
<textarea id="text" rows="1" maxlength="2000" placeholder="{write}" autocomplete="off"></textarea><button>{send}</button></form>
</main></body></html>"""


@dataclass(frozen=True)
class ChatPage:
    """`GET /c/{token}`, and the two files the page loads. `documents` are the hashes of those it sends, by name."""

    tenancy: Tenancy
    links: LinkSigner
    documents: Mapping[str, str]

    async def show(self, request: Request) -> Response:
        """The page of a link that is ours and whose lead is still there; else a page that says so."""
        chosen = language(request)
        location = await self._shop(request.path_params["token"])
        if location is None:
            return page(TEXTS[chosen]["ended"], f"<p>{TEXTS[chosen]['newest']}</p>", language=chosen, status=404)
        body = _shell(location, request.path_params["token"], chosen, self.documents)
        return HTMLResponse(body, headers={**HEADERS, "Content-Security-Policy": _policy(request)})

    async def file(self, request: Request) -> Response:
        """`GET /chat/{name}`"""
        name = request.path_params["name"]
        if name not in _KINDS:
            raise NotFoundError(f"there is no file {name[:40]!r}")
        headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
        return Response(_read(name), media_type=f"{_KINDS[name]}; charset=utf-8", headers=headers)

    async def _shop(self, token: str) -> Location | None:
        try:
            opened = self.links.open("chat", token)
        except NotFoundError:
            return None
        async with self.tenancy.read(Scope.service(opened.tenant_id, "customer link")) as session:
            lead = await leads_repository.get(session, opened.lead_id)
            return await repository.location(session, lead.location_id) if lead else None


def _shell(location: Location, token: str, chosen: str, documents: Mapping[str, str]) -> str:
    texts, said = TEXTS[chosen], CHAT_TEXTS[chosen]
    phone = html.escape(location.phone or "")
    call = texts["call"].format(phone=f'<a href="tel:{phone}">{phone}</a>') if phone else ""
    ways = " ".join(part for part in (call, html.escape(location.address or "")) if part)
    named: Mapping[str, str] = {name: html.escape(words.format(shop=location.name)) for name, words in said.items()}
    return _SHELL.format(
        language=chosen,
        title=html.escape(texts["glad"].format(shop=location.name)),
        token=html.escape(token),
        texts=html.escape(json.dumps({name: words.format(shop=location.name) for name, words in said.items()})),
        documents=html.escape(json.dumps(dict(documents))),
        ways=f"<p>{ways}</p>" if ways else "",
        answer=texts["answer"].format(shop=html.escape(location.name)),
        **{name: named[name] for name in ("conversation", "welcome", "typing", "write", "send")},
    )


def _policy(request: Request) -> str:
    """Its own script and style, and its own server to talk to; older browsers do not take 'self' for sockets."""
    host = request.url.netloc
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none';"
        f" connect-src 'self' ws://{host} wss://{host}"
    )


@cache
def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
