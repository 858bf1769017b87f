from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.google_calendar.errors import GoogleBusy, GoogleRefused, GrantLost
from lead_orchestrator.integrations.google_calendar.models import GoogleApp
from lead_orchestrator.integrations.google_calendar.oauth import GoogleOAuth, challenge_of
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.sandbox.google import ACCOUNT, APP, REDIRECT, VERIFIER, connected, consent, decide


@pytest.fixture
def oauth(client: httpx.AsyncClient, server: SandboxServer) -> GoogleOAuth:
    return GoogleOAuth(client, APP, server.google_url)


def test_the_challenge_is_the_rfcs_example() -> None:
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_a_consent_becomes_tokens_and_the_accounts_address(client: httpx.AsyncClient, oauth: GoogleOAuth) -> None:
    tokens = await connected(client, oauth)

    assert tokens.email == ACCOUNT
    assert tokens.refresh_token is not None
    assert tokens.expires_in == 3600
    assert (await oauth.refresh(tokens.refresh_token)).refresh_token is None


async def test_a_code_works_once(client: httpx.AsyncClient, oauth: GoogleOAuth) -> None:
    code = await consent(client, oauth)
    await oauth.exchange_code(code, verifier=VERIFIER, redirect_uri=REDIRECT)

    with pytest.raises(GrantLost):
        await oauth.exchange_code(code, verifier=VERIFIER, redirect_uri=REDIRECT)


async def test_a_code_is_worth_nothing_without_its_verifier(client: httpx.AsyncClient, oauth: GoogleOAuth) -> None:
    code = await consent(client, oauth)

    with pytest.raises(GrantLost):
        await oauth.exchange_code(code, verifier="w" * 43, redirect_uri=REDIRECT)


async def test_a_refusal_comes_back_as_an_error(client: httpx.AsyncClient, oauth: GoogleOAuth) -> None:
    url = oauth.authorization_url(state="s 1", challenge=challenge_of(VERIFIER), redirect_uri=REDIRECT)

    assert await decide(client, url, decision="deny") == f"{REDIRECT}?state=s+1&error=access_denied"


async def test_a_revoked_permission_is_told_apart(client: httpx.AsyncClient, oauth: GoogleOAuth, world: World) -> None:
    tokens = await connected(client, oauth)
    assert tokens.refresh_token is not None
    await client.post(f"/calendars/{ACCOUNT}/revoke")

    with pytest.raises(GrantLost):
        await oauth.refresh(tokens.refresh_token)

    assert world.google.account_of(tokens.access_token.get_secret_value()) is None


async def test_giving_a_permission_back_twice_is_no_error(client: httpx.AsyncClient, oauth: GoogleOAuth) -> None:
    tokens = await connected(client, oauth)
    assert tokens.refresh_token is not None

    await oauth.revoke(tokens.refresh_token)
    await oauth.revoke(tokens.refresh_token)

    with pytest.raises(GrantLost):
        await oauth.refresh(tokens.refresh_token)


async def test_a_wrong_client_secret_is_not_a_lost_permission(client: httpx.AsyncClient, server: SandboxServer) -> None:
    wrong = GoogleOAuth(client, GoogleApp(APP.client_id, SecretStr("wrong")), server.google_url)

    with pytest.raises(GoogleRefused) as caught:
        await wrong.refresh(SecretStr("1//any"))

    assert not isinstance(caught.value, GrantLost)
    assert caught.value.credentials


@pytest.mark.parametrize("kind", ["error_429", "error_500", "drop"])
async def test_trouble_at_the_token_endpoint_is_passing(
    client: httpx.AsyncClient, oauth: GoogleOAuth, kind: str
) -> None:
    tokens = await connected(client, oauth)
    assert tokens.refresh_token is not None
    await client.post("/faults", json={"service": "google_oauth", "kind": kind, "count": 1})

    with pytest.raises(GoogleBusy):
        await oauth.refresh(tokens.refresh_token)

    assert (await oauth.refresh(tokens.refresh_token)).access_token


def test_google_itself_is_asked_at_its_own_hosts(client: httpx.AsyncClient) -> None:
    url = GoogleOAuth(client, APP, "https://www.googleapis.com/").authorization_url(
        state="s", challenge="c", redirect_uri=REDIRECT
    )

    assert url.startswith("https://accounts.google.com/o/oauth2/v2/auth?client_id=demo-google-client")
    assert "access_type=offline&prompt=consent" in url
