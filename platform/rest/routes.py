"""The routes of customers and partners: the API, the pages behind links, the survey page and the booking page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lead_orchestrator.leads.service import Leads
from lead_orchestrator.rest.api.edge import PublicServices, routes_of
from lead_orchestrator.rest.api.openapi import document
from lead_orchestrator.rest.api.operations import OPERATIONS
from lead_orchestrator.rest.appointments import AppointmentPages
from lead_orchestrator.rest.book_page import BookPage
from lead_orchestrator.rest.chat_page import ChatPage
from lead_orchestrator.rest.door import Endpoint, by_address, by_link
from lead_orchestrator.rest.links import CustomerLinks
from lead_orchestrator.rest.survey_page import SurveyPage

__all__ = ["PUBLIC_PATHS", "openapi", "public_routes"]

OPENAPI = "/api/openapi.json"
PUBLIC_PATHS = (*(operation.path for operation in OPERATIONS), OPENAPI, "/a", "/book", "/c", "/chat", "/survey", "/u")
"""Under these names requests are counted; the rest of a path is a slug or a token."""


def public_routes(
    services: PublicServices, leads: Leads, public_url: str, documents: Mapping[str, str]
) -> Sequence[Route]:
    """Each of them within the budgets of `services.limits`; `public_url` is where they are served, `documents` are the hashes of
    those that visitors may send to the API."""
    appointments = AppointmentPages(services.tenancy, services.appointments, services.links, services.freshness)
    links = CustomerLinks(services.tenancy, leads, services.links)
    chat = ChatPage(services.tenancy, services.links, documents)
    survey, book = SurveyPage(services), BookPage(services)
    written = json.dumps(openapi(public_url))

    async def described(_request: Request) -> Response:
        return Response(written, media_type="application/json")

    def link(path: str, method: str, endpoint: Endpoint) -> Route:
        return Route(path, by_link(endpoint, services.limits, services.links), methods=[method])

    def shop(path: str, method: str, endpoint: Endpoint) -> Route:
        return Route(path, by_address(endpoint, services.limits), methods=[method])

    return [
        Route(OPENAPI, described, methods=["GET"]),
        *routes_of(OPERATIONS, services),
        link("/a/{token}", "GET", appointments.show),
        link("/a/{token}", "POST", appointments.change),
        link("/a/{token}/appointment.ics", "GET", appointments.calendar),
        link("/c/{token}", "GET", chat.show),
        shop("/chat/{name}", "GET", chat.file),
        link("/u/{token}", "GET", links.unsubscribe_page),
        link("/u/{token}", "POST", links.unsubscribe),
        link("/u/{token}/choices", "GET", links.unsubscribe_page),
        link("/u/{token}/choices", "POST", links.choose),
        shop("/survey/{slug}", "GET", survey.show),
        shop("/survey/{slug}", "POST", survey.answer),
        shop("/book/{slug}", "GET", book.show),
        shop("/book/{slug}", "POST", book.book),
    ]


def openapi(server: str | None = None) -> dict[str, object]:
    """The OpenAPI document of this version."""
    return document(OPERATIONS, version=version("lead-orchestrator"), server=server)
