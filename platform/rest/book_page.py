"""`/book/{slug}`: services, a free time, who comes, booked; four pages that work on a phone and without a script."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.service import Slot
from lead_orchestrator.booking.tokens import Offer, opened_offer
from lead_orchestrator.catalog import repository as catalog_repository
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.errors import AppError, BadInputError, UnauthenticatedError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, LeadSource
from lead_orchestrator.leads.surveys.service import survey_of
from lead_orchestrator.messaging.submissions import opened_ticket
from lead_orchestrator.rest import fields as form
from lead_orchestrator.rest.api.booking import Booked, take
from lead_orchestrator.rest.api.edge import PublicServices, client_address
from lead_orchestrator.rest.api.forms import HONEYPOT, check_person, form_token, opened_form
from lead_orchestrator.rest.api.leads import checked_address
from lead_orchestrator.rest.api.wording import consent_text
from lead_orchestrator.rest.pages import form_fields, language, page
from lead_orchestrator.rest.people import person_fields, person_text
from lead_orchestrator.rest.preferences import checked_ip
from lead_orchestrator.rest.public_texts import PROBLEMS, TEXTS
from lead_orchestrator.tenancy.public.limits import READ, WRITE
from lead_orchestrator.tenancy.public.places import Place

__all__ = ["BookPage"]

LARGEST_FORM = 32 * 1024
SHOWN_DAYS = 7
OPEN_DAYS = 2
LONGEST_NOTES = 2000
_OF_THE_TIME = frozenset(
    {
        "SLOT_TAKEN",
        "OUTSIDE_HOURS",
        "IN_THE_PAST",
        "TOO_SOON",
        "TOO_FAR_AHEAD",
        "SLOT_TOKEN_INVALID",
        "SLOT_TOKEN_EXPIRED",
        "UNKNOWN_SERVICE",
        "BUSY",
    }
)


@dataclass(frozen=True)
class _Visit:
    """Somebody at the page of a shop; `known`: their lead's token is good, so that nobody asks who they are."""

    request: Request
    place: Place
    services: Sequence[Service]
    fields: form.Fields
    now: datetime
    real_now: datetime
    consent: str
    known: bool

    @property
    def language(self) -> str:
        return language(self.request)

    @property
    def texts(self) -> Mapping[str, str]:
        return TEXTS[self.language]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.place.location.timezone)

    @property
    def chosen(self) -> list[Service]:
        """The services that were ticked, of those the shop sells."""
        wanted = set(self.fields.get("service", ()))
        return [one for one in self.services if encode(Kind.SERVICE, one.id) in wanted]

    def first(self, name: str) -> str:
        return (self.fields.get(name) or [""])[-1].strip()

    def problem(self, code: str) -> str:
        return PROBLEMS[self.language].get(code, PROBLEMS[self.language]["other"])


@dataclass(frozen=True)
class BookPage:
    """No cookie is set or read: what was chosen stands in the address and in the form."""

    services: PublicServices

    async def show(self, request: Request) -> Response:
        """`GET /book/{slug}`: what is to be chosen next."""
        names = ("service", "slot", "lead", "from", "step")
        query = {name: request.query_params.getlist(name) for name in names if name in request.query_params}
        visit = await self._visit(request, form.cleaned(query), READ)
        if not visit.services:
            return _closed(visit)
        if visit.first("slot"):
            return await self._details(visit)
        if visit.chosen:
            return await self._times(visit)
        wrong = visit.problem("ANSWER_MISSING") if visit.first("step") else None
        return _services(visit, wrong)

    async def book(self, request: Request) -> Response:
        """`POST /book/{slug}`: booked, or what has to be chosen again."""
        visit = await self._visit(request, form.cleaned(await form_fields(request, LARGEST_FORM)), WRITE)
        try:
            made = await self._taken(visit)
        except AppError as error:
            if error.http_status not in (400, 401, 503):
                raise
            if error.code in _OF_THE_TIME:
                return await self._times(visit, visit.problem(error.code), error.http_status)
            return await self._details(visit, error)
        return _booked(visit, made)

    async def _visit(self, request: Request, fields: form.Fields, kind: str) -> _Visit:
        place = await self.services.places.find(request.path_params["slug"], field="slug")
        await self.services.limits.spend_by_place(place, kind)
        if kind == WRITE:
            await self.services.limits.spend_by_address(client_address(request), kind)
        token = (fields.get("lead") or [""])[-1]
        async with self.services.tenancy.read(place.scope) as session:
            offered = await catalog_repository.offered_at(session, [place.location_id], active_only=True)
            survey = await survey_of(session, place.location)
            known = False
            if token:
                try:
                    known = bool(await opened_ticket(session, self.services.links, token, place.location_id))
                except UnauthenticatedError:
                    known = False
            return _Visit(
                request,
                place,
                offered[place.location_id],
                fields,
                await app_now(session),
                await real_now(session),
                consent_text(survey, place.location.name, language(request)),
                known,
            )

    async def _times(self, visit: _Visit, wrong: str | None = None, status: int = 200) -> Response:
        chosen = visit.chosen
        if not chosen:
            return _services(visit, wrong)
        first = _day(visit.first("from")) or visit.now.astimezone(visit.zone).date()
        last = first + timedelta(days=SHOWN_DAYS - 1)
        async with self.services.tenancy.read(visit.place.scope) as session:
            keys = [service.id for service in chosen]
            found = await self.services.booking.slots(session, visit.place.location_id, keys, first, last)
        return _times(visit, found, first, wrong, status)

    async def _details(self, visit: _Visit, error: AppError | None = None) -> Response:
        links, place = self.services.links, visit.place
        try:
            offer = opened_offer(links, place.tenant_id, visit.first("slot"), visit.real_now)
        except BadInputError as stale:
            return await self._times(visit, visit.problem(stale.code), 400)
        return _details(visit, offer, form_token(links, place, 0, visit.real_now), error)

    async def _taken(self, visit: _Visit) -> Booked:
        services, place = self.services, visit.place
        opened = opened_form(services.links, place, visit.first("form"), visit.real_now)
        if not visit.known:
            check_person(opened, visit.first(HONEYPOT), visit.real_now)
        notes = visit.first("notes")[:LONGEST_NOTES].replace("\x00", "") or None
        wanted = Wanted(
            token=visit.first("slot"),
            customer=None if visit.known else _customer(visit),
            notes=notes,
            source=LeadSource.SURVEY,
        )
        return await take(
            services, place, wanted, opened.digest, lead_token=visit.first("lead") if visit.known else None
        )


def _customer(visit: _Visit) -> Customer:
    name = person_text(visit.first("firstName"), "firstName")
    if name is None:
        raise BadInputError("firstName is missing: say who comes", code="CUSTOMER_NEEDED", field=("firstName",))
    phone, email = checked_address(visit.first("phone"), visit.first("email"))
    agreed: Sequence[ConsentGiven] = ()
    if visit.first("consent") == "yes":
        ip = checked_ip(client_address(visit.request))
        agreed = (ConsentGiven(Channel.SMS, True, "booking page", visit.consent, ip),)
    return Customer(name, phone, person_text(visit.first("lastName"), "lastName"), email, agreed)


def _day(raw: str) -> date | None:
    try:
        return date.fromisoformat(raw)
    except ValueError:
        return None


def _closed(visit: _Visit) -> Response:
    phone = html.escape(visit.place.location.phone or "")
    link = f'<a href="tel:{phone}">{phone}</a>'
    call = f"<p>{visit.texts['call'].format(phone=link)}</p>" if phone else ""
    return _page(
        visit, visit.texts["book"].format(shop=visit.place.location.name), f"<p>{visit.texts['closed']}</p>{call}"
    )


def _services(visit: _Visit, wrong: str | None) -> Response:
    options = [(encode(Kind.SERVICE, one.id), _service(visit, one)) for one in visit.services]
    body = [
        form.alert(wrong) if wrong else "",
        '<form method="get"><fieldset><legend class="hidden">',
        f"{html.escape(visit.texts['services'])}</legend>",
        form.choices("service", options, visit.fields.get("service", ()), many=True, required=False),
        f"</fieldset>{_kept(visit, 'lead')}",
        f'<p class="buttons"><button name="step" value="times">{visit.texts["show_times"]}</button></p></form>',
    ]
    return _page(visit, visit.texts["services"], "".join(body))


def _service(visit: _Visit, service: Service) -> str:
    price = _price(service.price_cents, service.currency) if service.price_cents is not None else ""
    said = " · ".join(part for part in (_lasting(visit, service.duration_minutes), price) if part)
    more = f"<small>{html.escape(service.description)}</small>" if service.description else ""
    return f"<b>{html.escape(service.name)}</b><small>{html.escape(said)}</small>{more}"


def _price(cents: int, currency: str) -> str:
    return f"${cents / 100:,.2f}" if currency == "USD" else f"{cents / 100:,.2f} {currency}"


def _lasting(visit: _Visit, minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    name = "hours_minutes" if hours and rest else "hours" if hours else "minutes"
    return visit.texts[name].format(hours=hours, minutes=rest)


def _times(visit: _Visit, found: Sequence[Slot], first: date, wrong: str | None, status: int) -> Response:
    days = [
        (day, list(slots)) for day, slots in groupby(found, lambda slot: slot.starts_at.astimezone(visit.zone).date())
    ]
    shown = [_day_of_times(visit, day, slots, number < OPEN_DAYS) for number, (day, slots) in enumerate(days)]
    kept = _kept(visit, "service", "lead")
    body = [
        form.alert(wrong) if wrong else "",
        f"<p>{html.escape(visit.texts['zone'].format(zone=visit.place.location.timezone.replace('_', ' ')))}</p>",
        "".join(shown) and f'<form method="get">{kept}{"".join(shown)}</form>',
        "" if shown else f"<p>{visit.texts['no_times']}</p>",
        _turning(visit, first, kept),
        f'<p><a href="{_path(visit)}{_lead_query(visit)}">{visit.texts["other_services"]}</a></p>',
    ]
    return _page(visit, visit.texts["times"], "".join(body), status=status)


def _day_of_times(visit: _Visit, day: date, slots: Sequence[Slot], is_open: bool) -> str:
    buttons = "".join(
        f'<button class="slot" name="slot" value="{slot.token}">{_clock(slot.starts_at.astimezone(visit.zone))}</button>'
        for slot in slots
    )
    opened = " open" if is_open else ""
    title = _written(visit, datetime.combine(day, datetime.min.time()), "date")
    return f'<details{opened}><summary>{title}</summary><div class="slots">{buttons}</div></details>'


def _turning(visit: _Visit, first: date, kept: str) -> str:
    today, later = visit.now.astimezone(visit.zone).date(), first + timedelta(days=SHOWN_DAYS)
    earlier = max(today, first - timedelta(days=SHOWN_DAYS))
    buttons = [
        f'<button class="plain" name="from" value="{day}">{visit.texts[name]}</button>'
        for name, day, shown in (
            ("earlier", earlier, first > today),
            ("later", later, later <= today + timedelta(days=visit.place.location.horizon_days)),
        )
        if shown
    ]
    return f'<form method="get">{kept}<p class="buttons">{"".join(buttons)}</p></form>' if buttons else ""


def _details(visit: _Visit, offer: Offer, token: str, error: AppError | None) -> Response:
    names = [one.name for one in visit.services if one.id in offer.service_ids]
    values = {name: visit.first(name) for name in ("firstName", "lastName", "phone", "email", "consent")}
    at = (error.field or ("",))[0] if error else ""
    who = "" if visit.known else person_fields(visit.texts, values, visit.consent, wrong=at)
    notes = html.escape(visit.first("notes"))
    back = f'<a href="{_path(visit)}?{_query(visit)}">{visit.texts["other_time"]}</a>'
    body = [
        form.alert(visit.problem(error.code)) if error else "",
        f"<p><strong>{_written(visit, offer.starts_at.astimezone(visit.zone))}</strong><br>{html.escape(', '.join(names))}</p>",
        f'<form method="post" action="{_path(visit)}">{form.hidden("form", token)}{_kept(visit, "slot", "service", "lead")}{who}',
        f'<p class="field"><label for="notes">{visit.texts["notes"]} <small>({visit.texts["optional"]})</small></label>',
        f'<textarea id="notes" name="notes" rows="3" maxlength="{LONGEST_NOTES}">{notes}</textarea></p>',
        f'{form.trap(visit.texts["trap"])}<p class="buttons"><button>{visit.texts["book_it"]}</button></p></form><p>{back}</p>',
    ]
    status = error.http_status if error else 200
    return _page(visit, visit.texts["details"], "".join(body), status=status)


def _booked(visit: _Visit, made: Booked) -> Response:
    location = visit.place.location
    where = ", ".join(part for part in (location.name, location.address) if part)
    link = html.escape(made.manage_url)
    moment = _written(visit, made.appointment.starts_at.astimezone(visit.zone))
    body = (
        f'<p role="status">{moment}</p><p>{html.escape(", ".join(made.services))}</p><p>{html.escape(where)}</p>'
        f"<p>{visit.texts['confirmation']}</p>"
        f'<p><a href="{link}/appointment.ics">{visit.texts["calendar"]}</a><br><a href="{link}">{visit.texts["manage"]}</a></p>'
    )
    return _page(visit, visit.texts["booked"], body)


def _page(visit: _Visit, title: str, body: str, *, status: int = 200) -> Response:
    location = visit.place.location
    return page(title, body, language=visit.language, status=status, kicker=location.name, frames=visit.place.origins)


def _path(visit: _Visit) -> str:
    return html.escape(f"/book/{visit.place.location.slug}")


def _kept(visit: _Visit, *names: str) -> str:
    return "".join(form.hidden(name, value) for name in names for value in _values(visit, name))


def _values(visit: _Visit, name: str) -> Sequence[str]:
    if name == "service":
        return [encode(Kind.SERVICE, one.id) for one in visit.chosen]
    return [visit.first(name)] if visit.first(name) else []


def _query(visit: _Visit) -> str:
    return html.escape("&".join(f"{name}={value}" for name in ("service", "lead") for value in _safe(visit, name)))


def _lead_query(visit: _Visit) -> str:
    return html.escape("".join(f"?lead={value}" for value in _safe(visit, "lead")))


def _safe(visit: _Visit, name: str) -> Sequence[str]:
    """Ids and tokens have nothing that means something in an address; whatever has is no token."""
    return [value for value in _values(visit, name) if value.replace("-", "").replace("_", "").isalnum()]


def _clock(local: datetime) -> str:
    return f"{local.hour % 12 or 12}:{local:%M %p}"


def _written(visit: _Visit, local: datetime, form_name: str = "moment") -> str:
    texts = visit.texts
    day, month = texts["days"].split()[local.weekday()], texts["months"].split()[local.month - 1]
    return html.escape(texts[form_name].format(day=day, month=month, number=local.day, clock=_clock(local)))
