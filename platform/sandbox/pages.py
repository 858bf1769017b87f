"""The pages of the sandbox: plain HTML, everything that came from outside escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.calendar_page import calendar_values
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.faults import FAULT_KINDS
from lead_orchestrator.sandbox.phone_page import PhonePage
from lead_orchestrator.sandbox.quotes import place_quote, read_quote

__all__ = ["Pages"]

TEMPLATES = Path(__file__).parent / "templates"
NAVIGATION = {
    "/": "Overview",
    "/quote": "Quote",
    "/phone": "Phones",
    "/calendar": "Calendars",
    "/clock": "Clock",
    "/faults": "Faults",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'",
    "Cache-Control": "no-store",
}
LAST_EVENTS = 25


class Pages:
    """GET / /quote /phone /calendar /clock /faults, and POST /quote."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._templates = {path.stem: Template(path.read_text("utf-8")) for path in TEMPLATES.glob("*.html")}
        self._phones = PhonePage(sandbox, self._templates)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._overview, methods=["GET"]),
            Route("/quote", self._quote_form, methods=["GET"]),
            Route("/quote", self._quote_sent, methods=["POST"]),
            Route("/phone", self._phone, methods=["GET"]),
            Route("/calendar", self._calendar, methods=["GET"]),
            Route("/clock", self._clock, methods=["GET"]),
            Route("/faults", self._faults, methods=["GET"]),
        ]

    def _page(
        self, name: str, title: str, path: str, values: Mapping[str, str] | None = None, status: int = 200
    ) -> HTMLResponse:
        navigation = "".join(
            f'<a href="{target}"{" aria-current=page" if target == path else ""}>{label}</a>'
            for target, label in NAVIGATION.items()
        )
        content = self._templates[name].substitute(values or {})
        page = self._templates["layout"].substitute(title=title, navigation=navigation, content=content)
        return HTMLResponse(page, status, HEADERS)

    async def _overview(self, request: Request) -> HTMLResponse:
        world, base = self._world, str(request.base_url).rstrip("/")
        texts = [message for message in world.messages if message.channel == "SMS" and message.direction == "outbound"]
        mails = [message for message in world.messages if message.channel == "EMAIL"]
        orders = sum(len(company.orders) for company in world.companies.values())
        chats = [message for message in world.messages if message.channel == "WHATSAPP"]
        figures = {
            "Quotes": orders,
            "Texts": len(texts),
            "WhatsApp": len(chats),
            "Mails": len(mails),
            "Faults on": len(world.faults.active()),
        }
        values = {
            "figures": "".join(f"<div>{name}<b>{number}</b></div>" for name, number in figures.items()),
            "addresses": _rows(
                (f"{service.upper()}_BASE_URL", f"{base}/{service}")
                for service in ("shopmonkey", "twilio", "sendgrid", "whatsapp", "google")
            ),
            "companies": _rows(
                (
                    company.name,
                    ", ".join(location["name"] for location in company.locations.values()),
                    len(company.orders),
                    ", ".join(webhook["url"] for webhook in company.webhooks.values()) or "none",
                )
                for company in world.companies.values()
            ),
            "log": _rows(_log_row(entry) for entry in reversed(world.log[-LAST_EVENTS:])),
        }
        return self._page("overview", "Overview", "/", values)

    async def _quote_form(self, _: Request) -> HTMLResponse:
        return self._quote_page({}, "", optional_boxes=True)

    async def _quote_sent(self, request: Request) -> HTMLResponse:
        pairs = parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)
        form = dict(pairs)
        try:
            if not form.get("phone") and not form.get("email"):
                raise BadInputError("Give a mobile phone number or an e-mail address, so that the shop can answer")
            quoted = read_quote(_quote_json(form, [value for name, value in pairs if name == "services"]))
            placed = place_quote(self._sandbox, quoted)
        except BadInputError as error:
            notice = f'<div class="note error" role="alert">{escape(error.message)}</div>'
            return self._quote_page(form, notice, optional_boxes=False, status=400)
        notice = (
            '<div class="note" role="status">Thank you! Your quote is on its way. '
            f'Order {escape(placed.order_id)}. <a href="/phone">Look at your phone</a>.</div>'
        )
        return self._quote_page({"locationId": form["locationId"]}, notice, optional_boxes=True)

    def _quote_page(
        self, form: Mapping[str, str], notice: str, *, optional_boxes: bool, status: int = 200
    ) -> HTMLResponse:
        names = ("firstName", "lastName", "phone", "email", "year", "make", "model")
        values = {name: escape(form.get(name, "")) for name in names}
        values |= {name: " checked" if optional_boxes or form.get(name) else "" for name in ("optIn", "subscribed")}
        values |= {"notice": notice, "locations": self._location_options(form.get("locationId"))}
        values["services"] = "".join(
            f'<div class="check"><input type="checkbox" id="s{number}" name="services" value="{escape(name)}">'
            f'<label for="s{number}">{escape(name)}</label></div>'
            for number, name in enumerate(self._service_names())
        )
        return self._page("quote", "Quote", "/quote", values, status)

    def _location_options(self, chosen: str | None) -> str:
        return "".join(
            f'<option value="{escape(row["id"])}"{" selected" if row["id"] == chosen else ""}>'
            f"{escape(company.name)}, {escape(row['name'])}</option>"
            for company in self._world.companies.values()
            for row in company.locations.values()
        )

    def _service_names(self) -> list[str]:
        services = [
            service for company in self._world.companies.values() for service in company.canned_services.values()
        ]
        return list(dict.fromkeys(service["name"] for service in services))

    async def _phone(self, request: Request) -> HTMLResponse:
        query = request.query_params
        phones = self._phones.render(query.get("contact"), query.get("channel"), query.get("error"))
        if query.get("fragment"):
            return HTMLResponse(phones, headers=HEADERS)
        return self._page("phone", "Phones", "/phone", {"phones": phones})

    async def _calendar(self, _: Request) -> HTMLResponse:
        return self._page("calendar", "Calendars", "/calendar", calendar_values(self._world))

    async def _clock(self, _: Request) -> HTMLResponse:
        return self._page("clock", "Clock", "/clock")

    async def _faults(self, _: Request) -> HTMLResponse:
        kinds = "".join(
            f'<option value="{service} {kind}">{service}: {kind.replace("_", " ")}</option>'
            for service, own in FAULT_KINDS.items()
            for kind in own
        )
        active = "".join(
            f"<tr><td>{fault.service}</td><td>{fault.kind}</td><td>{fault.count or 'until removed'}</td>"
            f"<td>{fault.probability}</td><td>{fault.seconds}</td><td>{fault.struck}</td>"
            f'<td><button type="button" class="plain" data-fault="{fault.id}">Remove</button></td></tr>'
            for fault in self._world.faults.active()
        )
        return self._page("faults", "Faults", "/faults", {"kinds": kinds, "active": active})


def _quote_json(form: Mapping[str, str], services: list[str]) -> dict[str, Any]:
    texts = {name: form.get(name, "") for name in ("locationId", "firstName", "lastName", "phone", "email")}
    vehicle = {name: form.get(name, "").strip() for name in ("year", "make", "model")}
    flags = {name: name in form for name in ("optIn", "subscribed")}
    return {**texts, "vehicle": vehicle, "services": services, **flags}


def _rows(rows: Iterable[Iterable[object]]) -> str:
    return "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)


def _log_row(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    details = {name: value for name, value in entry.items() if name not in ("at", "kind")}
    text = ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in details.items()
    )
    return _clock_time(entry["at"]), str(entry["kind"]).replace("_", " "), text


def _clock_time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S")
