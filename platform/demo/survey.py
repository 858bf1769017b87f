"""The demo's survey, and somebody who goes through it: answers, the welcome on their phone, and a time that is booked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import httpx

from lead_orchestrator.errors import AppError
from lead_orchestrator.sandbox.server import SandboxServer

__all__ = ["SURVEY", "book_by_survey"]

WELCOME_SECONDS = 30.0

SURVEY: Mapping[str, object] = {
    "title": "Get your quote",
    "intro": "Three short questions, and you know what it costs.",
    "questions": [
        {"id": "car", "type": "vehicle", "label": "Which car is it?", "help": "Year, make and model are enough."},
        {
            "id": "when",
            "type": "single",
            "label": "When would you like to come by?",
            "required": True,
            "options": [
                {"value": "this week", "label": "This week", "next": "BOOKING", "hot": True},
                {"value": "this month", "label": "This month", "hot": True},
                {"value": "just looking", "label": "I am just looking"},
            ],
        },
        {
            "id": "windows",
            "type": "multi",
            "label": "Which windows?",
            "options": [
                {"value": "front", "label": "Front"},
                {"value": "rear", "label": "Rear"},
                {"value": "sunroof", "label": "Sunroof"},
            ],
        },
        {"id": "more", "type": "text", "label": "Anything else we should know?", "maxLength": 500},
    ],
}


async def book_by_survey(api: str, sandbox: SandboxServer, slug: str) -> None:
    """Send the survey of this shop, wait for the welcome, and book the first free time.

    Raises:
        AppError: something of it did not happen.
    """
    phone = f"+1213555{100 + secrets.randbelow(100):04d}"
    shop = {"realtorId": slug}
    asked = {**shop, "firstName": "Nora", "phone": phone, "answers": {"when": "this week"}}
    async with httpx.AsyncClient(base_url=api, timeout=20) as http:
        made = _right(await http.post("/api/leads", json=asked))
        await _welcomed(sandbox, phone)
        wanted = {**shop, "serviceIds": await _first_service(http, shop)}
        slots = _right(await http.get("/api/slots", params=wanted))["slots"]
        if not slots:
            raise AppError(f"{slug} has no free time within two weeks: see its hours")
        _right(
            await http.post("/api/bookings", json={**shop, "slotToken": slots[0]["token"], "leadToken": made["token"]})
        )


async def _first_service(http: httpx.AsyncClient, shop: dict[str, str]) -> str:
    """The catalog is read from ShopMonkey while the demo starts."""
    async with asyncio.timeout(WELCOME_SECONDS):
        while True:
            services = _right(await http.get("/api/services", params=shop))["services"]
            if services:
                return str(services[0]["id"])
            await asyncio.sleep(0.05)


async def _welcomed(sandbox: SandboxServer, phone: str) -> None:
    try:
        async with asyncio.timeout(WELCOME_SECONDS):
            while not any(message.to == phone for message in sandbox.world.messages):  # noqa: ASYNC110 - phones ring no bell
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AppError(f"no welcome within {WELCOME_SECONDS:.0f} seconds of the survey: see the log above") from None


def _right(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise AppError(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text}"
        )
    read: dict[str, Any] = answer.json()
    return read
