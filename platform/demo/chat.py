"""Somebody who opens the chat page behind their first text, asks what ceramic tint costs, and books a time that is offered."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from lead_orchestrator.demo.visitor import Visitor, visiting
from lead_orchestrator.errors import AppError
from lead_orchestrator.sandbox.seed import CATALOG_CENTS

__all__ = ["book_by_chat"]

PATIENCE_SECONDS = 60.0
QUESTION = "How much for ceramic tint on a Model 3?"
SERVICE = "Ultimate Full Vehicle Ceramic Tint"
_LINK = re.compile(r"https?://\S+/c/\S+")


async def book_by_chat(text: str, token: str) -> int:
    """Go from the link in `text` to a booked time; `token` is staff's, who see the appointment.

    Returns the milliseconds from opening the page to the words that it is booked.

    Raises:
        AppError: something of it did not happen, within a minute.
    """
    link = _LINK.search(text)
    if link is None:
        raise AppError("the first text has no link to a chat")
    address = httpx.URL(link[0])
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=address.copy_with(path="/"), timeout=PATIENCE_SECONDS) as http:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), _page(http, address.path) as visitor:
                starts_at = await _book(visitor)
        except TimeoutError:
            raise AppError(
                f"no time was booked by chat within {PATIENCE_SECONDS:.0f} seconds: see the log above"
            ) from None
        took = (time.monotonic() - began) * 1000
        await _seen_by_staff(http, token, starts_at)
    return round(took)


@asynccontextmanager
async def _page(http: httpx.AsyncClient, path: str) -> AsyncIterator[Visitor]:
    """The page as its script begins: with what the server wrote into it."""
    answer = await http.get(path)
    if not answer.is_success:
        raise AppError(f"the chat page answered {answer.status_code}")
    documents, link = json.loads(_data(answer.text, "documents")), _data(answer.text, "token")
    async with visiting(http, documents, {"chatToken": link}) as visitor:
        yield visitor


async def _book(visitor: Visitor) -> datetime:
    """When the appointment begins that the assistant says is made."""
    cents = CATALOG_CENTS[SERVICE]
    quote = await _asked(visitor, QUESTION)
    shown = {service["name"]: service["price"]["amountCents"] for service in quote["services"] or ()}
    if shown.get(SERVICE) != cents or f"${cents / 100:,.2f}" not in quote["text"]:
        raise AppError(f"the assistant did not quote {cents} cents for {SERVICE}: {json.dumps(shown)}")
    offer = await _asked(visitor, "When are you free?")
    if not offer["slots"]:
        raise AppError("the assistant offered no time")
    chosen = offer["slots"][0]
    booked = await _asked(visitor, chosen["localStart"])  # as who presses its button
    wall = datetime.fromisoformat(chosen["localStart"][4:])  # after the day's name
    if f"{wall.hour % 12 or 12}:{wall:%M}" not in booked["text"]:
        raise AppError(f"the assistant did not say that {chosen['localStart']} is booked")
    return datetime.fromisoformat(chosen["startsAt"])


async def _asked(visitor: Visitor, text: str) -> dict[str, Any]:
    await visitor.say(text)
    message = await visitor.message()
    if message["role"] != "ASSISTANT":
        raise AppError(f"not the assistant answered but {message['role']}")
    return message


async def _seen_by_staff(http: httpx.AsyncClient, token: str, starts_at: datetime) -> None:
    query = "{ appointments(first: 20) { edges { node { startsAt status services { name } } } } }"
    answer = (await http.post("/graphql", json={"query": query}, headers={"Authorization": f"Bearer {token}"})).json()
    if "errors" in answer:
        raise AppError(f"GraphQL did not show the appointments: {json.dumps(answer['errors'])}")
    made = [edge["node"] for edge in answer["data"]["appointments"]["edges"]]
    here = [one for one in made if datetime.fromisoformat(one["startsAt"]) == starts_at]
    if not any(one["status"] == "CONFIRMED" and {"name": SERVICE} in one["services"] for one in here):
        raise AppError(f"staff see no confirmed appointment at {starts_at}: {json.dumps(made)}")


def _data(page: str, name: str) -> str:
    """An attribute that the page hands to its script."""
    found = re.search(rf'data-{name}="([^"]*)"', page)
    if found is None:
        raise AppError(f"the chat page has no data-{name}")
    return html.unescape(found[1])
