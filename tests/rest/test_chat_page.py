"""The page behind the link of a text message."""

from __future__ import annotations

import html
import json
import re

import pytest

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.graphql.documents import trusted_documents
from lead_orchestrator.leads.models import Lead
from tests.messaging.leads import make_lead
from tests.rest.conftest import Browser
from tests.stack import Stack


def link(stack: Stack, lead: Lead) -> str:
    return f"/c/{stack.services.links.token('chat', lead.tenant_id, lead.id)}"


async def test_the_page_loads_its_own_script_and_nothing_else(stack: Stack, browser: Browser) -> None:
    page = await browser.get(link(stack, await make_lead(stack)))

    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r'(?:src|href)="(/[^"]*)"', page.text) == ["/chat/chat.css", "/chat/chat.js"]
    assert " style=" not in page.text
    assert re.search(r"\son\w+=", page.text) is None
    for name, kind in (("chat.js", "text/javascript"), ("chat.css", "text/css")):
        file = await browser.get(f"/chat/{name}")
        assert (file.status_code, file.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert file.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(NotFoundError):  # which the api answers with 404
        await browser.get("/chat/chat_page.py")


async def test_looking_at_the_page_begins_no_conversation(stack: Stack, browser: Browser) -> None:
    lead = await make_lead(stack)

    for _ in range(2):
        assert (await browser.get(link(stack, lead))).status_code == 200

    assert await stack.rows("SELECT id FROM chat_sessions WHERE lead_id = :id", id=lead.id) == []


async def test_the_script_knows_the_documents_that_it_sends_and_the_words_that_it_shows(
    stack: Stack, browser: Browser
) -> None:
    script = (await browser.get("/chat/chat.js")).text
    page = await browser.get(link(stack, await make_lead(stack)), headers={"Accept-Language": "es"})

    def data(name: str) -> dict[str, str]:
        [found] = re.findall(rf'data-{name}="([^"]*)"', page.text)
        read: dict[str, str] = json.loads(html.unescape(found))
        return read

    documents, texts = data("documents"), data("texts")
    sent = set(re.findall(r'"(Widget\w+)"', script))
    assert sent <= documents.keys()
    assert all(trusted_documents().by_hash[documents[name]].name == name for name in sent)
    assert set(re.findall(r"texts\.(\w+)", script)) <= texts.keys()
    assert texts["send"] == "Enviar"
    assert '<html lang="es">' in page.text
    assert "innerHTML" not in script
