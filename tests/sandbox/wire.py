"""The services as a client of the product would call them, and inputs that they accept."""

from __future__ import annotations

from typing import Any

import httpx

from lead_orchestrator.sandbox.seed import LOS_ANGELES_LOCATION_ID, SUN_SHADE

CUSTOMER = "+13105550123"


class ShopMonkey:
    """ShopMonkey as a client with a key sees it."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self._client.get(f"/shopmonkey/v3{path}", headers=self._headers, params=params)

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self._client.post(f"/shopmonkey/v3{path}", headers=self._headers, json=body)

    async def put(self, path: str, body: Any) -> httpx.Response:
        return await self._client.put(f"/shopmonkey/v3{path}", headers=self._headers, json=body)

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        return await self._client.delete(f"/shopmonkey/v3{path}", headers={**self._headers, **headers})


class Twilio:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.sid, self.token = SUN_SHADE.twilio_account_sid, SUN_SHADE.twilio_auth_token
        self.number = SUN_SHADE.twilio_numbers[0]

    async def send(self, **fields: str) -> httpx.Response:
        form = {"To": CUSTOMER, "From": self.number, "Body": "Hello", **fields}
        return await self._client.post(self.path("/Messages.json"), data=form, auth=(self.sid, self.token))

    async def get(self, path: str, **params: str) -> httpx.Response:
        return await self._client.get(self.path(path), params=params, auth=(self.sid, self.token))

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self._client.post(self.path(path), data=form, auth=(self.sid, self.token))

    def path(self, path: str) -> str:
        return f"/twilio/2010-04-01/Accounts/{self.sid}{path}"


class SendGrid:
    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {key}"}

    async def send(self, **changes: Any) -> httpx.Response:
        return await self._client.post("/sendgrid/v3/mail/send", headers=self._headers, json=mail(**changes))

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._client.request(method, f"/sendgrid/v3{path}", headers=self._headers, json=body)


class WhatsApp:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.number_id, self.token = SUN_SHADE.whatsapp_number_id, SUN_SHADE.whatsapp_token
        self.number = SUN_SHADE.whatsapp_number

    async def send(self, **changes: Any) -> httpx.Response:
        """A text to the customer, with changes; None takes a field away."""
        whole = {"messaging_product": "whatsapp", "to": CUSTOMER, "type": "text", "text": {"body": "Hello"}, **changes}
        body = {name: value for name, value in whole.items() if value is not None}
        return await self.client.post(self.path("/messages"), json=body, headers=self.headers)

    async def template(self, name: str, *values: str, language: str = "en_US", **changes: Any) -> httpx.Response:
        parameters = [{"type": "text", "text": value} for value in values]
        components = [{"type": "body", "parameters": parameters}] if parameters else []
        template = {"name": name, "language": {"code": language}, "components": components}
        return await self.send(type="template", text=None, template=template, **changes)

    async def write(self, body: str = "Hi", customer: str = CUSTOMER, **more: Any) -> httpx.Response:
        """The customer writes, which opens the 24 hours."""
        data = {"to": self.number, "body": body, "channel": "WHATSAPP", **more}
        return await self.client.post(f"/phones/{customer}/texts", json=data)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def path(self, path: str) -> str:
        return f"/whatsapp/v25.0/{self.number_id}{path}"


def mail(**changes: Any) -> dict[str, Any]:
    """A mail that SendGrid accepts, with changes; None takes a field away."""
    whole = {
        "personalizations": [{"to": [{"email": "ann@example.com"}], "custom_args": {"message_id": "m1"}}],
        "from": {"email": SUN_SHADE.from_email, "name": "Sun Shade Tint"},
        "subject": "Your quote",
        "content": [{"type": "text/plain", "value": "Hello"}, {"type": "text/html", "value": "<p>Hello</p>"}],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def quote(**changes: Any) -> dict[str, Any]:
    return {
        "locationId": LOS_ANGELES_LOCATION_ID,
        "firstName": "Ann",
        "lastName": "Lee",
        "phone": CUSTOMER,
        "email": "ann@example.com",
        "vehicle": {"year": 2021, "make": "Tesla", "model": "Model 3"},
        **changes,
    }
