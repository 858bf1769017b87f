"""A product's way into a sandbox's Google: the consent given by a person, and what follows from it."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from pydantic import SecretStr

from lead_orchestrator.integrations.google_calendar.models import GoogleApp, Tokens
from lead_orchestrator.integrations.google_calendar.oauth import GoogleOAuth, challenge_of
from lead_orchestrator.sandbox.seed import SUN_SHADE, calendar_address

ACCOUNT = calendar_address(SUN_SHADE, SUN_SHADE.locations[0])
APP = GoogleApp("demo-google-client.apps.example.com", SecretStr("demo-google-secret"))
REDIRECT, VERIFIER = "http://127.0.0.1:9/google/callback", "v" * 43


async def decide(client: httpx.AsyncClient, url: str, *, account: str = ACCOUNT, decision: str = "allow") -> str:
    """Where the browser goes after the person has chosen on the consent page."""
    page = await client.get(url)
    page.raise_for_status()
    form = dict(parse_qsl(urlsplit(url).query)) | {"account": account, "decision": decision}
    answer = await client.post(url.partition("?")[0], data=form, follow_redirects=False)
    return answer.headers["location"]


async def consent(client: httpx.AsyncClient, oauth: GoogleOAuth, account: str = ACCOUNT) -> str:
    """The code of a consent."""
    url = oauth.authorization_url(state="s", challenge=challenge_of(VERIFIER), redirect_uri=REDIRECT)
    return parse_qs(urlsplit(await decide(client, url, account=account)).query)["code"][0]


async def connected(client: httpx.AsyncClient, oauth: GoogleOAuth, account: str = ACCOUNT) -> Tokens:
    return await oauth.exchange_code(await consent(client, oauth, account), verifier=VERIFIER, redirect_uri=REDIRECT)
