"""Whether a WhatsApp number is the tenant's."""

from __future__ import annotations

import httpx

from lead_orchestrator.integrations.transport import exchange, json_object
from lead_orchestrator.integrations.whatsapp.client import GRAPH_VERSION, WhatsAppCredentials, refuse

__all__ = ["WhatsAppNumbers"]

TIMEOUT = 10.0


class WhatsAppNumbers:
    """Asks Meta."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def exists(self, credentials: WhatsAppCredentials) -> bool:
        """Whether the token reads this number.

        Raises:
            ProviderRefused: it does not.
            ProviderBusy, ProviderUnknown: Meta cannot say now.
        """
        response = await exchange(
            self._http,
            "GET",
            f"{self._base_url}/{GRAPH_VERSION}/{credentials.phone_number_id}",
            timeout=TIMEOUT,
            sending=False,
            headers={"Authorization": f"Bearer {credentials.access_token.get_secret_value()}"},
        )
        if not response.is_success:
            refuse(response)
        return (json_object(response) or {}).get("id") == credentials.phone_number_id
