"""Surveys of locations: set in versions, answered in the version that was asked."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.leads.standing import became
from lead_orchestrator.leads.surveys import repository
from lead_orchestrator.leads.surveys.answers import Answered
from lead_orchestrator.leads.surveys.definition import Survey, checked_survey
from lead_orchestrator.leads.surveys.models import SurveyVersion
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["keep_answers", "set_survey", "survey_of"]

MOST_KEPT = 20
"""Of one person's submissions after the first; the oldest of them go."""


async def set_survey(session: WriteSession, location_id: UUID, definition: object) -> Location:
    """Make `definition` the location's survey, as its next version unless it is what is there already.

    Raises:
        SurveyError: with everything that is wrong.
        NotFoundError: the caller sees no such location.
    """
    survey = checked_survey(definition)
    location = await tenancy_repository.lock_location(session, location_id)
    if location is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))
    if location.survey is not None and checked_survey(location.survey).dumped() == survey.dumped():
        return location
    version = await repository.last_version(session, location_id) + 1
    row = SurveyVersion(
        tenant_id=session.scope.tenant_id,
        location_id=location_id,
        version=version,
        definition=survey.dumped(),
        set_by=session.scope.subject,
        created_at=await app_now(session),
    )
    repository.add(session, row)
    location.survey = {**survey.dumped(), "version": version}
    await session.flush()
    detail = {"version": version, "questions": len(survey.questions)}
    session.audit("survey.set", target=encode(Kind.LOCATION, location_id), detail=detail)
    return location


async def survey_of(session: ReadSession, location: Location, version: int | None = None) -> Survey:
    """The location's survey, in force or as it was in `version`; one without questions where it never had any (version 0).

    Raises:
        BadInputError: UNKNOWN_VERSION.
    """
    now = Survey.model_validate(location.survey) if location.survey is not None else Survey(version=0)
    if version is None or version == now.version:
        return now
    definition = await repository.definition(session, location.id, version)
    if definition is None:
        message = f"there is no version {version} of this survey: the one in force is {now.version}"
        raise BadInputError(message, code="UNKNOWN_VERSION", field=("surveyVersion",))
    return Survey.model_validate({**definition, "version": version})


async def keep_answers(
    session: WriteSession, leads: Leads, lead: Lead, survey: Survey, answered: Answered | Mapping[str, object]
) -> None:
    """Add the answers to those that a locked lead has given already; what was kept before stays as it is.

    `answered` is a mapping as the caller sent it where the location has no survey that could say what is right. A hot branch
    raises the lead's status.
    """
    checked = isinstance(answered, Answered)
    answers = answered.answers if isinstance(answered, Answered) else answered
    if not answers and not checked:
        return
    now = await app_now(session)
    entry: dict[str, object] = {"version": survey.version, "answers": dict(answers), "at": now.isoformat()}
    if isinstance(answered, Answered):
        entry["ending"] = answered.ending.value
    if _append(lead, entry):
        await session.flush()  # whoever locks the lead again reads it anew
        became(session, lead, "survey.answered", {"version": survey.version, "ending": entry.get("ending")})
    if isinstance(answered, Answered) and answered.hot:
        await leads.move(session, lead, LeadStatus.HOT, "The answers of the survey")


def _append(lead: Lead, entry: Mapping[str, object]) -> bool:
    """Whether the entry says anything that was not there before."""
    kept = lead.survey
    if kept is None:
        lead.survey = dict(entry)
        return True
    more = kept.get("more")
    later = list(more) if isinstance(more, list) else []
    if any(_same(one, entry) for one in (kept, *later)):
        return False
    lead.survey = {**kept, "more": [*later, dict(entry)][-MOST_KEPT:]}
    return True


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("version", "answers", "ending"))
