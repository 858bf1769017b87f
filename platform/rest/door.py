"""The door of every page that anybody can call: how often, and a page for people where something cannot be answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.booking.appointments.customers import opened_link
from lead_orchestrator.db import is_away
from lead_orchestrator.errors import AppError, NotFoundError, RateLimitedError
from lead_orchestrator.log import get_logger
from lead_orchestrator.rest.api.edge import RETRY_SECONDS, client_address
from lead_orchestrator.rest.pages import language, page
from lead_orchestrator.rest.public_texts import TEXTS
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.public.limits import READ, WRITE, PublicLimits

__all__ = ["by_address", "by_link"]

_log = get_logger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
_OF_LEADS = ("chat", "unsubscribe")


def by_address(endpoint: Endpoint, limits: PublicLimits) -> Endpoint:
    """`endpoint`, as often as one address may call it."""

    async def spend(request: Request) -> None:
        await limits.spend_by_address(client_address(request), READ)

    return _guarded(endpoint, spend)


def by_link(endpoint: Endpoint, limits: PublicLimits, links: LinkSigner) -> Endpoint:
    """`endpoint`, as often as whoever holds the link may call it, from wherever: a mail program unsubscribes all its readers from
    one address. A token that is none of ours counts for the address."""

    async def spend(request: Request) -> None:
        kind = WRITE if request.method == "POST" else READ
        person = _person(links, request.path_params["token"])
        if person is None:
            await limits.spend_by_address(client_address(request), kind)
        else:
            await limits.spend_by_person(*person, kind)

    return _guarded(endpoint, spend)


def _person(links: LinkSigner, token: str) -> tuple[UUID, UUID] | None:
    """Whose link it is: the lead's, or that of an appointment's customer."""
    appointment = opened_link(links, token)
    if appointment is not None:
        return appointment.tenant_id, appointment.appointment_id
    for purpose in _OF_LEADS:
        try:
            opened = links.open(purpose, token)
        except NotFoundError:
            continue
        return opened.tenant_id, opened.lead_id
    return None


def _guarded(endpoint: Endpoint, spend: Callable[[Request], Awaitable[None]]) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            await spend(request)
            return await endpoint(request)
        except AppError as error:
            return _refused(request, error)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("database_away", error=type(error).__name__)
            return _told(request, "away", HTTPStatus.SERVICE_UNAVAILABLE, RETRY_SECONDS)

    return guarded


def _refused(request: Request, error: AppError) -> Response:
    if isinstance(error, RateLimitedError):
        return _told(request, "busy", error.http_status, round(error.retry_after))
    if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _told(request, "away", error.http_status, RETRY_SECONDS)
    return _told(request, "gone", HTTPStatus.NOT_FOUND if error.code != "TOO_LARGE" else 413)


def _told(request: Request, what: str, status: int, seconds: int | None = None) -> Response:
    texts = TEXTS[language(request)]
    said = texts[f"{what}_text"].format(seconds=seconds)
    response = page(texts[what], f"<p>{said}</p>", language=language(request), status=status)
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response
