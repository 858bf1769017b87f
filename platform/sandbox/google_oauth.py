"""Google's OAuth: a consent page, codes with PKCE, tokens, their renewal and their end."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.sandbox.context import Sandbox, is_web_address
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.google_world import Grant

__all__ = ["GoogleOAuthApi"]

CONSENT = "/o/oauth2/v2/auth"
ASKED = ("client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method", "response_type")
# Leaving for the product is a form's redirect, so no form-action here.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Sign in · Sandbox</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 4rem auto; padding: 0 1rem; }}
select, button {{ font: inherit; padding: .5rem .8rem; margin: .5rem .5rem .5rem 0; }}</style></head>
<body><main><h1>Allow access to your calendar?</h1>
<p>The application <b>{client}</b> wants to see and change the events of your calendar.</p>
<form method="post" action="{action}">{hidden}
<label for="account">Account</label><br><select id="account" name="account">{accounts}</select><br>
<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>
</form></main></body></html>"""


class GoogleOAuthApi:
    """GET and POST /o/oauth2/v2/auth, POST /token, POST /revoke."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._world = sandbox.world
        self._google = sandbox.world.google
        self._replies = FaultReplies(
            "google_oauth",
            {
                "bad_credentials": lambda _: _refused("invalid_grant", "Token has been expired or revoked."),
                "error_429": lambda _: _refused("rate_limit_exceeded", "Too many requests", 429),
                "error_500": lambda _: JSONResponse({"error": "internal_failure"}, 500),
            },
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route(CONSENT, self._page, methods=["GET"]),
            Route(CONSENT, self._decided, methods=["POST"]),
            Route("/token", guarded(self._world.faults, self._replies, self._token), methods=["POST"]),
            Route("/revoke", guarded(self._world.faults, self._replies, self._revoke), methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        asked = {name: request.query_params.get(name, "") for name in ASKED}
        if fault := self._fault(asked):
            return HTMLResponse(f"<h1>Error 400: {escape(fault)}</h1>", 400, HEADERS)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in asked.items()
        )
        accounts = "".join(f"<option>{escape(email)}</option>" for email in self._google.accounts)
        action = escape(request.url.path)
        page = PAGE.format(client=escape(asked["client_id"]), hidden=hidden, accounts=accounts, action=action)
        return HTMLResponse(page, headers=HEADERS)

    async def _decided(self, request: Request) -> Response:
        form = await _form(request)
        asked = {name: form.get(name, "") for name in ASKED}
        fault = self._fault(asked)
        if not fault and form.get("account") not in self._google.accounts:
            fault = f"unknown account {form.get('account')}"
        if fault:
            return HTMLResponse(f"<h1>Error 400: {escape(fault)}</h1>", 400, HEADERS)
        back = {"state": asked["state"]}
        if form.get("decision") == "allow":
            code = self._google.consent(form["account"], asked["redirect_uri"], asked["code_challenge"])
            back |= {"code": code, "scope": asked["scope"]}
        else:
            back |= {"error": "access_denied"}
        glue = "&" if urlsplit(asked["redirect_uri"]).query else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{glue}{urlencode(back)}", 302)

    def _fault(self, asked: dict[str, str]) -> str | None:
        if asked["client_id"] != self._google.client_id:
            return "invalid_client"
        if not is_web_address(asked["redirect_uri"]):
            return "redirect_uri_mismatch"
        if asked["response_type"] != "code" or not asked["scope"]:
            return "invalid_request"
        if asked["code_challenge"] and asked["code_challenge_method"] not in ("S256", "plain"):
            return "invalid_request: code_challenge_method"
        return None

    async def _token(self, request: Request) -> Response:
        form = await _form(request)
        if (form.get("client_id"), form.get("client_secret")) != (self._google.client_id, self._google.client_secret):
            return _refused("invalid_client", "The OAuth client was not found.", 401)
        if form.get("grant_type") == "authorization_code":
            return self._exchanged(form)
        if form.get("grant_type") != "refresh_token":
            return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        grant = self._google.grants.get(form.get("refresh_token", ""))
        if grant is None or grant.revoked:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        return JSONResponse(self._tokens(grant))

    def _exchanged(self, form: dict[str, str]) -> Response:
        consent = self._google.consents.pop(form.get("code", ""), None)
        if consent is None:
            return _refused("invalid_grant", "Malformed auth code.")
        if consent.redirect_uri != form.get("redirect_uri"):
            return _refused("redirect_uri_mismatch", "Bad Request")
        if consent.challenge and not _proves(form.get("code_verifier", ""), consent.challenge):
            return _refused("invalid_grant", "Invalid code verifier.")
        grant = self._google.grant(consent.email)
        self._world.tell("google_granted", account=consent.email)
        return JSONResponse({**self._tokens(grant), "refresh_token": grant.refresh_token})

    def _tokens(self, grant: Grant) -> dict[str, Any]:
        return {
            "access_token": self._google.access_token(grant),
            "expires_in": round(self._google.access_life),
            "scope": "openid email https://www.googleapis.com/auth/calendar.events",
            "token_type": "Bearer",
            "id_token": _id_token({"email": grant.email, "email_verified": True, "aud": self._google.client_id}),
        }

    async def _revoke(self, request: Request) -> Response:
        token = (await _form(request)).get("token", "")
        grant = self._google.grants.get(token) or self._google.access.get(token, (None, 0.0))[0]
        if grant is None or grant.revoked:
            return _refused("invalid_token", "Token expired or revoked")
        grant.revoked = True
        return JSONResponse({})


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


def _proves(verifier: str, challenge: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return challenge in (base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), verifier)


def _id_token(claims: dict[str, Any]) -> str:
    """Its signature is no signature: who gets it straight from the token endpoint need not check it."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, "c2FuZGJveA"))


def _refused(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
