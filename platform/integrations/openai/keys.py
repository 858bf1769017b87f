"""Whether OpenAI takes a key."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.transport import exchange, retry_after

__all__ = ["OpenAIKeys"]

TIMEOUT = 10.0
HTTP_UNAUTHORIZED, HTTP_FORBIDDEN = 401, 403


class OpenAIKeys:
    """Lists the models, which costs nothing."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def check(self, api_key: SecretStr) -> None:
        """Raises ProviderRefused: OpenAI does not take the key; ProviderBusy: it cannot say now."""
        response = await exchange(
            self._http,
            "GET",
            f"{self._base_url}/models",
            timeout=TIMEOUT,
            sending=False,
            headers={"Authorization": f"Bearer {api_key.get_secret_value()}"},
        )
        code = f"http_{response.status_code}"
        if response.status_code in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN):
            raise ProviderRefused(code, "OpenAI does not accept the API key", credentials=True)
        if not response.is_success:
            raise ProviderBusy(retry_after(response.headers), code)
