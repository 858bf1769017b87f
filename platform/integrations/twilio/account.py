"""What a tenant's Twilio account is: asked before anything is sent from it."""

from __future__ import annotations

import httpx

from lead_orchestrator.integrations.providers import ProviderBusy
from lead_orchestrator.integrations.transport import exchange, json_object
from lead_orchestrator.integrations.twilio.client import TwilioCredentials, refuse

__all__ = ["TwilioAccounts"]

TIMEOUT = 10.0


class TwilioAccounts:
    """Every method raises ProviderRefused where Twilio does not take the credentials, and ProviderBusy where it cannot say."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def is_active(self, credentials: TwilioCredentials) -> bool:
        """Whether the account may be used: not suspended, not closed."""
        account = await self._read(credentials, ".json")
        return account.get("status") == "active"

    async def owns(self, credentials: TwilioCredentials, number: str) -> bool:
        """Whether the account rents this number (E.164)."""
        answer = await self._read(credentials, "/IncomingPhoneNumbers.json", PhoneNumber=number)
        rented = answer.get("incoming_phone_numbers")
        if not isinstance(rented, list):
            raise ProviderBusy(None, "unreadable")
        return any(isinstance(row, dict) and row.get("phone_number") == number for row in rented)

    async def _read(self, credentials: TwilioCredentials, path: str, **params: str) -> dict[str, object]:
        response = await exchange(
            self._http,
            "GET",
            f"{self._base_url}/2010-04-01/Accounts/{credentials.account_sid}{path}",
            timeout=TIMEOUT,
            sending=False,
            params=params or None,
            auth=(credentials.account_sid, credentials.auth_token.get_secret_value()),
        )
        if not response.is_success:
            refuse(response, sending=False)
        answer = json_object(response)
        if answer is None:
            raise ProviderBusy(None, "unreadable")
        return answer
