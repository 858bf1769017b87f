"""Google's OAuth 2: a consent with PKCE, its exchange for tokens, and their renewal."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from lead_orchestrator.integrations.google_calendar.errors import GoogleBusy, GoogleRefused, raise_for
from lead_orchestrator.integrations.google_calendar.models import GoogleApp, Tokens
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.transport import exchange, json_object

__all__ = ["GOOGLE", "SCOPES", "GoogleOAuth", "challenge_of"]

GOOGLE = "https://www.googleapis.com"
SCOPES = (
    "openid",
    "email",
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.freebusy",
)
TIMEOUT = 10.0
DEFAULT_LIFE = 3600.0


class GoogleOAuth:
    """Speaks for one registration. Google's own hosts are used for its base URL, and paths below any other one.

    Every method that asks raises GoogleRefused (GrantLost when the permission is gone) and GoogleBusy.
    """

    def __init__(self, http: httpx.AsyncClient, app: GoogleApp, base_url: str, *, timeout: float = TIMEOUT) -> None:
        base = base_url.rstrip("/")
        real = base == GOOGLE
        self._http = http
        self._app = app
        self._timeout = timeout
        self._consent = "https://accounts.google.com/o/oauth2/v2/auth" if real else f"{base}/o/oauth2/v2/auth"
        self._tokens = "https://oauth2.googleapis.com" if real else base

    def authorization_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a person gives the consent; `offline` and `consent` make Google issue a refresh token each time."""
        asked = {
            "client_id": self._app.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._consent}?{urlencode(asked)}"

    async def exchange_code(self, code: str, *, verifier: str, redirect_uri: str) -> Tokens:
        """The tokens of a consent; a code works once, so after GoogleBusy the person has to consent again."""
        return await self._ask(
            grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=redirect_uri
        )

    async def refresh(self, refresh_token: SecretStr) -> Tokens:
        return await self._ask(grant_type="refresh_token", refresh_token=refresh_token.get_secret_value())

    async def revoke(self, token: SecretStr) -> None:
        """Give the permission back; one that is gone already is no error."""
        response = await self._post("/revoke", {"token": token.get_secret_value()})
        answer = json_object(response) or {}
        if answer.get("error") not in ("invalid_token", "invalid_grant"):
            raise_for(response)

    async def _ask(self, **form: str) -> Tokens:
        app = {"client_id": self._app.client_id, "client_secret": self._app.client_secret.get_secret_value()}
        response = await self._post("/token", app | form)
        raise_for(response)
        answer = json_object(response) or {}
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise GoogleBusy(None, "unreadable")
        life = answer.get("expires_in")
        return Tokens(
            access_token=SecretStr(access),
            expires_in=float(life) if isinstance(life, int | float) else DEFAULT_LIFE,
            refresh_token=SecretStr(refresh) if isinstance(refresh, str) and refresh else None,
            email=_email(answer.get("id_token")),
        )

    async def _post(self, path: str, form: dict[str, str]) -> httpx.Response:
        try:
            return await exchange(
                self._http, "POST", self._tokens + path, timeout=self._timeout, sending=False, data=form
            )
        except ProviderBusy as busy:
            raise GoogleBusy(busy.retry_after, busy.code) from None
        except ProviderRefused as refused:
            raise GoogleRefused(refused.code, refused.message, credentials=True) from None


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _email(id_token: object) -> str | None:
    """The address in an id token that came from Google itself by TLS, which is why its signature need not be checked."""
    parts = id_token.split(".") if isinstance(id_token, str) else []
    if len(parts) != 3:  # noqa: PLR2004  # a JWT's
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    email = claims.get("email") if isinstance(claims, dict) else None
    return email if isinstance(email, str) and email else None
