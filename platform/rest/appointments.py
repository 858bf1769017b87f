"""The page behind the link in a confirmation: what was booked, another time, a cancellation, and a file for a calendar."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.booking.appointments.customers import OwnAppointment, opened_link, own_appointment
from lead_orchestrator.booking.appointments.invites import invite
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.models import AppointmentStatus
from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.rest.appointment_texts import TEXTS
from lead_orchestrator.rest.pages import form_fields, language, page
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["AppointmentPages"]

SHOWN_DAYS = 21
SUBJECT = "customer link"


@dataclass(frozen=True)
class AppointmentPages:
    """The link is the authority: no cookie is set or read, and looking changes nothing."""

    tenancy: Tenancy
    appointments: Appointments
    links: LinkSigner
    freshness: Freshness

    async def show(self, request: Request) -> Response:
        """`GET /a/{token}`"""
        return await self._page(request)

    async def change(self, request: Request) -> Response:
        """`POST /a/{token}`: `startsAt` moves it, `cancel` cancels it; once each, however often the form is sent."""
        texts = TEXTS[language(request)]
        link = opened_link(self.links, request.path_params["token"])
        if link is None:
            return _ended(request)
        try:
            fields = await form_fields(request)
            if "cancel" not in fields:
                scope = Scope.service(link.tenant_id, SUBJECT)
                await self.freshness.before_move(scope, link.appointment_id, _moment(fields))
            async with self.tenancy.write(Scope.service(link.tenant_id, SUBJECT)) as session:
                own = await own_appointment(session, link)
                if own is None:
                    return _ended(request)
                if "cancel" in fields and own.appointment.status == AppointmentStatus.CANCELLED:
                    return await self._page(request)
                _check_open(own)
                if "cancel" in fields:
                    await self.appointments.cancel(session, link.appointment_id, texts["by_customer"])
                else:
                    await self.appointments.move(session, link.appointment_id, _moment(fields))
        except AppError as error:
            said = texts.get(error.code, texts["not_possible"])
            return await self._page(request, said, status=413 if error.code == "TOO_LARGE" else 409)
        return await self._page(request, texts["cancelled" if "cancel" in fields else "moved"])

    async def calendar(self, request: Request) -> Response:
        """`GET /a/{token}/appointment.ics`"""
        link = opened_link(self.links, request.path_params["token"])
        if link is None:
            return _ended(request)
        async with self.tenancy.read(Scope.service(link.tenant_id, SUBJECT)) as session:
            own = await own_appointment(session, link)
        if own is None:
            return _ended(request)
        url = self.links.manage(link.tenant_id, link.appointment_id, link.nonce)
        body = invite(own.appointment, own.location, own.services, url, own.now).published()
        headers = {"Content-Disposition": 'attachment; filename="appointment.ics"', "Cache-Control": "no-store"}
        return Response(body, media_type="text/calendar; charset=utf-8; method=PUBLISH", headers=headers)

    async def _page(self, request: Request, said: str | None = None, *, status: int = 200) -> Response:
        link = opened_link(self.links, request.path_params["token"])
        if link is None:
            return _ended(request)
        async with self.tenancy.read(Scope.service(link.tenant_id, SUBJECT)) as session:
            own = await own_appointment(session, link)
            if own is None:
                return _ended(request)
            times = await self.appointments.other_times(session, own.appointment, SHOWN_DAYS) if own.is_open else []
        return _shown(request, own, times, said, status)


def _shown(request: Request, own: OwnAppointment, times: Sequence[datetime], said: str | None, status: int) -> Response:
    chosen = language(request)
    texts = TEXTS[chosen]
    zone = ZoneInfo(own.location.timezone)
    parts = [f'<p role="status">{html.escape(said)}</p>'] if said else []
    parts.append(f"<p><strong>{_written(own.appointment.starts_at, zone, texts)}</strong></p>")
    parts.append(f"<p>{html.escape(', '.join(own.services))}</p>")
    where = html.escape(", ".join(part for part in (own.location.name, own.location.address) if part))
    parts.append(f"<p>{where}</p>")
    path = html.escape(request.url.path)
    if own.is_open:
        parts.append(f'<p><a href="{path}/appointment.ics">{texts["calendar"]}</a></p>')
        parts += [_move_form(times, zone, texts), _cancel_form(texts)]
    title = texts[f"title_{own.appointment.status}"] if not own.is_open else texts["title"]
    return page(title, "".join(parts), language=chosen, status=status)


def _move_form(times: Sequence[datetime], zone: ZoneInfo, texts: Mapping[str, str]) -> str:
    if not times:
        return f"<section><h2>{texts['another']}</h2><p>{texts['none_free']}</p></section>"
    options = "".join(f'<option value="{start.isoformat()}">{_written(start, zone, texts)}</option>' for start in times)
    return (
        f'<section><h2>{texts["another"]}</h2><form method="post"><p><label>{texts["when"]}<br>'
        f'<select name="startsAt" required>{options}</select></label></p>'
        f"<button>{texts['move']}</button></form></section>"
    )


def _cancel_form(texts: Mapping[str, str]) -> str:
    return (
        f"<section><h2>{texts['not_coming']}</h2>"
        f'<form method="post"><button class="plain" name="cancel" value="1">{texts["cancel"]}</button></form></section>'
    )


def _written(moment: datetime, zone: ZoneInfo, texts: Mapping[str, str]) -> str:
    local = moment.astimezone(zone)
    day, month = texts["days"].split()[local.weekday()], texts["months"].split()[local.month - 1]
    clock = f"{local.hour % 12 or 12}:{local:%M %p}"
    return html.escape(texts["moment"].format(day=day, month=month, number=local.day, clock=clock))


def _check_open(own: OwnAppointment) -> None:
    if not own.is_open:
        raise BadInputError("the appointment has begun or is cancelled: nothing can be changed", code="NOT_CONFIRMED")


def _moment(fields: Mapping[str, Sequence[str]]) -> datetime:
    try:
        moment: datetime | None = datetime.fromisoformat(fields.get("startsAt", [""])[0])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInputError("startsAt is no moment with its offset: choose one of the list", field=("startsAt",))
    return moment


def _ended(request: Request) -> Response:
    texts = TEXTS[language(request)]
    return page(texts["ended"], f"<p>{texts['newest']}</p>", language=language(request), status=404)
