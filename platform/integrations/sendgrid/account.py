"""What a tenant's SendGrid key may do, and from which addresses its account sends."""

from __future__ import annotations

import json
from typing import Any

import httpx

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.sendgrid.client import refuse
from lead_orchestrator.integrations.transport import exchange

__all__ = ["SendGridAccounts"]

TIMEOUT = 10.0
HTTP_FORBIDDEN = 403
MOST_SENDERS = 100


class SendGridAccounts:
    """Every method raises ProviderRefused where SendGrid does not take the key, and ProviderBusy where it cannot say."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def may_send(self, api_key: str) -> bool:
        """Whether the key has the scope mail.send."""
        answer = await self._read(api_key, "/v3/scopes")
        scopes = answer.get("scopes") if isinstance(answer, dict) else None
        if not isinstance(scopes, list):
            raise ProviderBusy(None, "unreadable")
        return "mail.send" in scopes

    async def knows(self, api_key: str, address: str) -> bool | None:
        """Whether the address's domain is authenticated or the address is a verified sender; None where the key may not see."""
        domain = address.rpartition("@")[2].lower()
        domains = await self._readable(api_key, "/v3/whitelabel/domains", domain=domain)
        if any(row.get("domain") == domain and row.get("valid") is True for row in _rows(domains)):
            return True
        senders = await self._readable(api_key, "/v3/verified_senders", limit=str(MOST_SENDERS))
        found = _rows(senders.get("results") if isinstance(senders, dict) else None)
        if any(str(row.get("from_email")).lower() == address.lower() and row.get("verified") is True for row in found):
            return True
        return None if domains is None or senders is None else False

    async def _readable(self, api_key: str, path: str, **params: str) -> Any:
        """The answer; None where the key is not allowed to read it."""
        try:
            return await self._read(api_key, path, **params)
        except ProviderRefused as error:
            if error.code == f"http_{HTTP_FORBIDDEN}":
                return None
            raise

    async def _read(self, api_key: str, path: str, **params: str) -> Any:
        response = await exchange(
            self._http,
            "GET",
            self._base_url + path,
            timeout=TIMEOUT,
            sending=False,
            params=params or None,
            headers={"Authorization": f"Bearer {api_key}"},
        )
        if not response.is_success:
            refuse(response)
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise ProviderBusy(None, "unreadable") from None


def _rows(found: Any) -> list[dict[str, Any]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
