"""Answers are kept in the version that was asked, added to those before and never instead of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.leads.surveys.answers import Answered, answered
from lead_orchestrator.leads.surveys.service import MOST_KEPT, keep_answers, set_survey, survey_of
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_lead, make_tenant

FIRST = {"questions": [{"id": "why", "type": "text", "label": "Why?"}]}
SECOND = {
    "questions": [
        {
            "id": "when",
            "type": "single",
            "label": "When?",
            "options": [{"value": "now", "label": "Now", "hot": True}, {"value": "later", "label": "Later"}],
        }
    ]
}


class Desk:
    """A tenant whose shop has a survey in two versions."""

    def __init__(self, tenancy: Tenancy, box: SecretBox, tenant: MadeTenant) -> None:
        self.tenancy, self.box, self.tenant, self.leads = tenancy, box, tenant, Leads(box)

    async def set(self, definition: object) -> None:
        async with self.tenancy.write(self.tenant.scope) as session:
            await set_survey(session, self.tenant.location, definition)

    async def lead(self) -> Lead:
        return await make_lead(self.tenancy, self.box, self.tenant)

    async def answer(self, lead: Lead, given: Mapping[str, object], version: int | None = None) -> None:
        async with self.tenancy.write(self.tenant.scope) as session:
            location = await repository.location(session, self.tenant.location)
            assert location is not None
            survey = await survey_of(session, location, version)
            said: Answered | Mapping[str, object] = answered(survey, given) if survey.questions else given
            await keep_answers(session, self.leads, await locked(session, lead.id), survey, said)

    async def row(self, lead: Lead) -> dict[str, Any]:
        async with self.tenancy.read(self.tenant.scope) as session:
            rows = await session.execute(text("SELECT status, survey FROM leads WHERE id = :id"), {"id": lead.id})
            return dict(rows.mappings().one())

    async def open_touches(self, lead: Lead) -> int:
        async with self.tenancy.read(self.tenant.scope) as session:
            counted = text("SELECT count(*) FROM scheduled_messages WHERE lead_id = :id AND status = 'SCHEDULED'")
            return int(await session.scalar(counted, {"id": lead.id}) or 0)


@pytest_asyncio.fixture
async def desk(tenancy: Tenancy, secret_box: SecretBox) -> Desk:
    desk = Desk(tenancy, secret_box, await make_tenant(tenancy, secret_box))
    await desk.set(FIRST)
    await desk.set(SECOND)
    return desk


async def test_answers_are_taken_in_the_version_that_was_asked(desk: Desk) -> None:
    lead = await desk.lead()

    await desk.answer(lead, {"why": "heat"}, version=1)
    with pytest.raises(BadInputError) as unknown:
        await desk.answer(lead, {"why": "heat"}, version=3)

    kept = (await desk.row(lead))["survey"]
    assert (kept["version"], kept["answers"], kept["ending"]) == (1, {"why": "heat"}, "THANKS")
    assert (unknown.value.code, unknown.value.field) == ("UNKNOWN_VERSION", ("surveyVersion",))


async def test_later_answers_are_added_and_the_same_ones_are_not_kept_twice(desk: Desk) -> None:
    lead = await desk.lead()

    for given, version in (({"why": "heat"}, 1), ({"when": "later"}, 2), ({"when": "later"}, 2), ({"why": "heat"}, 1)):
        await desk.answer(lead, given, version)

    kept = (await desk.row(lead))["survey"]
    assert kept["answers"] == {"why": "heat"}
    assert [one["answers"] for one in kept["more"]] == [{"when": "later"}]
    assert (await desk.row(lead))["status"] == LeadStatus.NEW


async def test_what_one_person_submits_does_not_grow_without_end(desk: Desk) -> None:
    lead = await desk.lead()

    for number in range(MOST_KEPT + 3):
        await desk.answer(lead, {"why": f"reason {number}"}, 1)

    kept = (await desk.row(lead))["survey"]
    assert kept["answers"] == {"why": "reason 0"}
    assert [one["answers"]["why"] for one in kept["more"]] == [f"reason {n}" for n in range(3, MOST_KEPT + 3)]


async def test_a_hot_branch_raises_the_leads_status_and_ends_its_touches(desk: Desk) -> None:
    lead = await desk.lead()
    assert await desk.open_touches(lead) == 1

    await desk.answer(lead, {"when": "now"})

    assert (await desk.row(lead))["status"] == LeadStatus.HOT
    assert await desk.open_touches(lead) == 0


async def test_a_booked_lead_stays_booked_whatever_is_answered_in_its_name(desk: Desk) -> None:
    lead = await desk.lead()
    async with desk.tenancy.write(desk.tenant.scope) as session:
        await desk.leads.move(session, await locked(session, lead.id), LeadStatus.BOOKED, "tests")

    await desk.answer(lead, {"when": "now"})

    assert (await desk.row(lead))["status"] == LeadStatus.BOOKED
