"""`/survey/{slug}`: a shop's questions one by one, on a phone, without a script; what was answered travels with the form."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.leads.addresses import checked_zone
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, LeadSource
from lead_orchestrator.leads.service import Enquiry
from lead_orchestrator.leads.surveys.answers import Progress, progress
from lead_orchestrator.leads.surveys.definition import Ending, Question, QuestionType, Survey
from lead_orchestrator.leads.surveys.service import survey_of
from lead_orchestrator.messaging.submissions import Submitted
from lead_orchestrator.rest import fields as form
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

__all__ = ["SurveyPage"]

LARGEST_FORM = 128 * 1024


@dataclass(frozen=True)
class _Visit:
    """Somebody at the page of a shop: `token` came with the form, or goes out with it."""

    request: Request
    place: Place
    survey: Survey
    token: str
    fields: form.Fields = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)

    @property
    def language(self) -> str:
        return language(self.request)

    @property
    def texts(self) -> Mapping[str, str]:
        return TEXTS[self.language]

    def first(self, name: str) -> str:
        return (self.fields.get(name) or [""])[-1].strip()


@dataclass(frozen=True)
class SurveyPage:
    """No cookie is set or read: the signed token in the form says which shop and which version it is of."""

    services: PublicServices

    async def show(self, request: Request) -> Response:
        """`GET /survey/{slug}`: the first question."""
        visit = await self._visit(request, {})
        return _step(visit, progress(visit.survey, {}))

    async def answer(self, request: Request) -> Response:
        """`POST /survey/{slug}`: the next question, the one before, or the end."""
        visit = await self._visit(request, form.cleaned(await form_fields(request, LARGEST_FORM)))
        if "back" in visit.fields:
            return _back(visit)
        gone = progress(visit.survey, visit.given)
        if gone.at is not None:
            wrong = PROBLEMS[visit.language]["FORM_EXPIRED"] if visit.first("form") not in ("", visit.token) else None
            return _step(visit, gone, wrong)
        if "send" not in visit.fields:
            return _contact(visit, gone)
        try:
            made = await self._submitted(visit, gone)
        except BadInputError as error:
            renewed = await self._renewed(visit) if error.code == "FORM_EXPIRED" else visit
            return _contact(renewed, gone, error)
        if gone.ending is Ending.BOOKING:
            return RedirectResponse(f"/book/{visit.place.location.slug}?lead={made.token}", status_code=303)
        return _thanks(visit, made)

    async def _visit(self, request: Request, fields: form.Fields) -> _Visit:
        place = await self.services.places.find(request.path_params["slug"], field="slug")
        kind = WRITE if "send" in fields else READ
        await self.services.limits.spend_by_place(place, kind)
        if kind == WRITE:
            await self.services.limits.spend_by_address(client_address(request), kind)
        token = (fields.get("form") or [""])[-1]
        async with self.services.tenancy.read(place.scope) as session:
            now = await real_now(session)
            version = _version(self.services, place, token, now)
            survey = await survey_of(session, place.location, version)
        if version is None:
            token = form_token(self.services.links, place, survey.version or 0, now)
        given = form.given_answers(survey.questions, fields)
        return _Visit(request, place, survey, token, fields, given)

    async def _renewed(self, visit: _Visit) -> _Visit:
        async with self.services.tenancy.read(visit.place.scope) as session:
            now = await real_now(session)
        return replace(visit, token=form_token(self.services.links, visit.place, visit.survey.version or 0, now))

    async def _submitted(self, visit: _Visit, gone: Progress) -> Submitted:
        services, place = self.services, visit.place
        enquiry = _enquiry(visit, gone)
        async with services.tenancy.write(place.scope) as session:
            now = await real_now(session)
            opened = opened_form(services.links, place, visit.first("form"), now)
            check_person(opened, visit.first(HONEYPOT), now)
            return await services.submissions.submit(
                session, place.location, enquiry, dict(gone.answers), opened.version or None
            )


def _version(services: PublicServices, place: Place, token: str, now: datetime) -> int | None:
    """The version of the survey that the form showed; None if the form is too old, another shop's, or none of ours."""
    try:
        return opened_form(services.links, place, token, now).version if token else None
    except BadInputError:
        return None


def _enquiry(visit: _Visit, gone: Progress) -> Enquiry:
    answered = _addresses(visit.survey, gone)
    phone = answered.get(QuestionType.PHONE) or visit.first("phone")
    email = answered.get(QuestionType.EMAIL) or visit.first("email")
    number, address = checked_address(phone, email)
    return Enquiry(
        location_id=visit.place.location_id,
        source=LeadSource.SURVEY,
        first_name=person_text(visit.first("firstName"), "firstName"),
        last_name=person_text(visit.first("lastName"), "lastName"),
        phone=number,
        email=address,
        time_zone=_zone(visit.first("timeZone")),
        consents=tuple(_consents(visit)),
    )


def _consents(visit: _Visit) -> Sequence[ConsentGiven]:
    if visit.first("consent") != "yes":
        return ()
    wording = consent_text(visit.survey, visit.place.location.name, visit.language)
    ip = checked_ip(client_address(visit.request))
    return [ConsentGiven(Channel.SMS, True, f"survey page, version {visit.survey.version or 0}", wording, ip)]


def _zone(name: str) -> str | None:
    """A browser that names none we know has said nothing."""
    try:
        return checked_zone(name)
    except BadInputError:
        return None


def _addresses(survey: Survey, gone: Progress) -> Mapping[QuestionType, str]:
    """The number and the address that were among the questions."""
    wanted = (QuestionType.PHONE, QuestionType.EMAIL)
    own = {one.type: str(gone.answers[one.id]) for one in survey.questions if one.id in gone.answers}
    return {kind: own[kind] for kind in wanted if kind in own}


def _back(visit: _Visit) -> Response:
    """The question before the one that is shown, with its answer in it."""
    shown = visit.first("at")
    gone = progress(visit.survey, {name: value for name, value in visit.given.items() if name != shown})
    if not gone.passed:
        return _step(visit, progress(visit.survey, {}))
    before = gone.passed[-1]
    earlier = {name: value for name, value in visit.given.items() if name not in (shown, before.id)}
    return _step(visit, replace(progress(visit.survey, earlier), wrong=None))


def _step(visit: _Visit, gone: Progress, said: str | None = None) -> Response:
    """The question that waits, or what the way ends with."""
    question = gone.at
    if question is None:
        return _contact(visit, gone)
    wrong = said or (_said(visit, question, gone.wrong) if gone.wrong else None)
    given = visit.given.get(question.id)
    body = [
        form.alert(wrong) if wrong else "",
        f"<p>{html.escape(question.help)}</p>" if question.help else "",
        form.asked(question, given, visit.texts, wrong=wrong is not None),
        form.hidden("at", question.id),
        form.kept_answers(gone.passed, visit.given),
    ]
    if not question.required:
        body.insert(0, f'<p class="optional"><small>({visit.texts["optional"]})</small></p>')
    intro = visit.survey.intro if not gone.passed else None
    return _page(visit, question.label, "".join(body), "next", back=bool(gone.passed), intro=intro)


def _contact(visit: _Visit, gone: Progress, error: AppError | None = None) -> Response:
    known = _addresses(visit.survey, gone)
    skipped = [name for name, kind in (("phone", QuestionType.PHONE), ("email", QuestionType.EMAIL)) if kind in known]
    consent = consent_text(visit.survey, visit.place.location.name, visit.language)
    wrong = PROBLEMS[visit.language].get(error.code, PROBLEMS[visit.language]["other"]) if error else None
    at = (error.field or ("",))[0] if error else ""
    values = {name: visit.first(name) for name in ("firstName", "lastName", "phone", "email", "consent")}
    body = [
        form.alert(wrong) if wrong else "",
        person_fields(visit.texts, values, consent, skipped=skipped, wrong=at),
        form.hidden("at", "contact"),
        form.kept_answers(gone.passed, visit.given),
        form.trap(visit.texts["trap"]),
        '<input type="hidden" name="timeZone" id="zone">',
    ]
    script = "document.getElementById('zone').value=Intl.DateTimeFormat().resolvedOptions().timeZone||''"
    status = 400 if error else 200
    return _page(
        visit, visit.texts["contact"], "".join(body), "send", back=bool(gone.passed), script=script, status=status
    )


def _page(
    visit: _Visit,
    title: str,
    body: str,
    button: str,
    *,
    back: bool,
    intro: str | None = None,
    script: str | None = None,
    status: int = 200,
) -> Response:
    location, texts = visit.place.location, visit.texts
    kicker = visit.survey.title or texts["quote"].format(shop=location.name)
    said = f"<p>{html.escape(intro)}</p>" if intro else ""
    backwards = f'<button class="plain" name="back" value="1" formnovalidate>{texts["back"]}</button>' if back else ""
    buttons = f'<p class="buttons"><button name="{button}" value="1">{texts[button]}</button>{backwards}</p>'
    action = html.escape(f"/survey/{location.slug}")
    return page(
        title,
        f'{said}<form method="post" action="{action}">{form.hidden("form", visit.token)}{body}{buttons}</form>',
        language=visit.language,
        status=status,
        kicker=kicker,
        frames=visit.place.origins,
        script=script,
    )


def _thanks(visit: _Visit, made: Submitted) -> Response:
    location, texts = visit.place.location, visit.texts
    said = visit.survey.thanks or texts["thanks_text"].format(shop=location.name)
    link = f'<a class="button" href="/book/{html.escape(location.slug)}?lead={made.token}">{texts["book_now"]}</a>'
    body = f'<p role="status">{html.escape(said)}</p><p class="buttons">{link}</p>'
    kicker = visit.survey.title or location.name
    return page(texts["thanks"], body, language=visit.language, kicker=kicker, frames=visit.place.origins)


def _said(visit: _Visit, question: Question, error: BadInputError) -> str:
    said = PROBLEMS[visit.language]
    kind = "single" if question.type == QuestionType.MULTI else question.type.value
    return said[error.code] if error.code == "ANSWER_MISSING" else said.get(kind, said["INVALID_ANSWER"])
